import { createHash } from 'node:crypto'
import { readdir, rename, symlink } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { storeFolder } from '../src/folder.ts'
import { passGate } from '../src/gate.ts'
import { ownName } from '../src/holders.ts'
import { temporaryFolders } from './temporary-folder.ts'

const PASSERS = 8
const TIMES = 60

const folder = temporaryFolders()

/** The name of a process that is no more: of our number, and born at another time. */
function deadName(): string {
  const [pid, , ...rest] = ownName().split('.')
  return [pid, '1', ...rest].join('.')
}

/** Has it name somebody who died there, and at times another who died while he opened it behind that one. */
async function dieAt(gate: string): Promise<void> {
  const name = deadName()
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 16)
  if (Math.random() < 0.5) await symlink(deadName(), `${gate}.${digest}`)
  await symlink(name, `${gate}-dead`)
  await rename(`${gate}-dead`, gate)
}

it('one at a time is inside, however many of those before died there', async () => {
  const store = storeFolder(await folder())
  const pass = (name: string): Promise<AsyncDisposable> =>
    passGate(store, { name, [Symbol.asyncDispose]: () => Promise.resolve() })
  let inside = 0
  let most = 0
  const passOften = async (): Promise<void> => {
    for (let time = 0; time < TIMES; time++) {
      const gate = await pass(ownName())
      most = Math.max(most, ++inside)
      await setTimeout(Math.random() < 0.5 ? 0 : 1)
      inside--
      if (Math.random() < 0.6) await gate[Symbol.asyncDispose]()
      else await dieAt(store.gate)
    }
  }

  await Promise.all(Array.from({ length: PASSERS }, passOften))

  expect(most).toBe(1)
  await using _last = await pass(ownName())
  expect(await readdir(store.path)).toEqual(['gate'])
}, 60_000)
