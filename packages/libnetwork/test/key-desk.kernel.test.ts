import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeKernel } from '@net/netlink-ffi/testing'
import { silentLogger } from '@net/types'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { KeyDesk } from '../src/keys/key-desk.ts'
import { HOOK } from './oci-bundle.ts'

const controllerId = 'd'.repeat(64)
let folder: string
let desk: KeyDesk

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'desk-'))
  desk = new KeyDesk(join(folder, controllerId), silentLogger)
})
afterEach(async () => {
  await desk.close()
  rmSync(folder, { recursive: true })
})

/** A hook that hands over the namespace of process `pid`. */
function startHook(pid: number): ChildProcess {
  const hook = spawn(process.execPath, [HOOK, '--runtime-directory', folder, 'box', controllerId])
  hook.stdin.end(JSON.stringify({ pid }))
  return hook
}

describeKernel('a namespace that is handed over', () => {
  it('is given up when its hook is killed', async () => {
    let given: AbortSignal | undefined
    await desk.open((_, __, { signal }) => {
      given = signal
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          reject(new Error('given up'))
        })
      })
    })
    const hook = startHook(process.pid)
    await expect.poll(() => given?.aborted).toBe(false)

    hook.kill('SIGKILL')

    await expect.poll(() => given?.aborted).toBe(true)
  })

  it('is the one it was then, whatever becomes of the process meanwhile', async () => {
    const container = spawn('unshare', ['--net', 'sh', '-c', 'readlink /proc/self/ns/net; exec sleep 60'])
    const [line] = (await once(container.stdout, 'data')) as [Buffer]
    let found = ''
    await desk.open(async (_, path) => {
      container.kill('SIGKILL')
      await once(container, 'exit')
      found = readlinkSync(path)
    })

    const hook = startHook(container.pid ?? 0)
    expect(await once(hook, 'exit')).toEqual([0, null])
    expect(found).toBe(line.toString().trim())
  })

  it('leaves no descriptor open', async () => {
    await desk.open(() => Promise.reject(new Error('no such sandbox')))
    const first = startHook(process.pid)
    await once(first, 'exit')
    const before = readdirSync('/proc/self/fd').length
    for (let at = 0; at < 3; at++) await once(startHook(process.pid), 'exit')
    await expect.poll(() => readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
  })
})
