import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Store } from '@net/datastore'
import { openLmdbStore } from '@net/datastore-lmdb'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defaultIpam } from '../src/index.ts'

const PROCESSES = 4
/** `NET_CRASHES=1000 npx vitest run packages/ipam/test/crash` kills longer. */
const KILLS = Number(process.env.NET_CRASHES ?? 8)
const worker = join(import.meta.dirname, 'crash-worker.mjs')

let path: string
const running = new Map<number, ChildProcess>()
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'net-ipam-'))
})
afterEach(async () => {
  for (const number of [...running.keys()]) await kill(number)
  rmSync(path, { recursive: true })
})

async function start(number: number, poolId: string, way: string): Promise<void> {
  const child = fork(worker, [path, poolId, way, String(number)], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  running.set(number, child)
  await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error('worker ended'))),
  ])
}

async function kill(number: number): Promise<void> {
  const child = running.get(number)
  running.delete(number)
  if (child?.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** What follows a prefix in the keys of a store, with the values as text. */
async function read(store: Store, prefix: string): Promise<Map<string, string>> {
  const { entries, damaged } = await store.list(prefix)
  expect(damaged).toEqual([])
  return new Map(entries.map(({ key, value }) => [key.slice(prefix.length), new TextDecoder().decode(value)]))
}

describe(`${PROCESSES} processes on one store, of which one is killed ${KILLS} times`, () => {
  it.each(['together', 'apart'])(
    'hold just the addresses that they recorded, %s with them',
    { timeout: 30_000 + KILLS * 3_000 },
    async (way) => {
      let store = await openLmdbStore({ path })
      const { id } = await defaultIpam({}, { store }).requestPool({ addressSpace: 'LocalDefault', pool: '10.0.0.0/24' })
      await store.close()

      for (let number = 0; number < PROCESSES; number++) await start(number, id, way)
      for (let round = 0; round < KILLS; round++) {
        await sleep(Math.random() * 60)
        const number = Math.floor(Math.random() * PROCESSES)
        await kill(number)
        await start(number, id, way)
      }
      for (let number = 0; number < PROCESSES; number++) await kill(number)

      store = await openLmdbStore({ path })
      const ipam = defaultIpam({}, { store })
      // What was begun when the end came is asked for again, and given back.
      for (const owner of (await read(store, 'intent/')).keys()) {
        const { address } = await ipam.requestAddress(id, { owner })
        await ipam.releaseAddress(id, address.replace(/\/.*/, ''))
      }
      const recorded = await read(store, 'held/')
      const taken = await read(store, 'ipam/v1/LocalDefault/address/')
      expect([...taken.values()].sort()).toEqual([...recorded.keys()].sort())
      for (const [owner, address] of recorded) {
        const given = await ipam.requestAddress(id, { owner })
        if (address !== '') expect(given.address).toBe(`${address}/24`)
      }
      expect((await ipam.poolStatus?.(id))?.taken).toBe(BigInt(taken.size) + 2n)
      expect(recorded.size).toBeGreaterThan(0)
      await store.close()
    },
  )
})
