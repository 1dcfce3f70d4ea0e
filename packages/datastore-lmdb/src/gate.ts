import { randomId, shortId } from '@net/types'
import { readlink, rename, rm, symlink } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import type { StoreFolder } from './folder.ts'
import { isAlive, ownName } from './holders.ts'

const RETRY_MS = 10

/**
 * Lets one process at a time open, close or restore a store. The gate is a symbolic link that leads nowhere and names
 * who is inside: it appears complete or not at all, and needs no room on a full disk. One whose process is dead is put
 * aside. Dispose the result to leave.
 */
export async function passGate({ gate }: StoreFolder, signal?: AbortSignal): Promise<AsyncDisposable> {
  const name = ownName()
  while (!(await enter(name, gate))) {
    signal?.throwIfAborted()
    if (!(await putAsideIfDead(gate))) await setTimeout(RETRY_MS)
  }
  return { [Symbol.asyncDispose]: () => rm(gate, { force: true }) }
}

async function enter(name: string, gate: string): Promise<boolean> {
  try {
    await symlink(name, gate)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

async function putAsideIfDead(gate: string): Promise<boolean> {
  const inside = await readlink(gate).catch(() => undefined)
  if (inside === undefined) return true
  if (isAlive(inside)) return false
  const aside = `${gate}.${shortId(randomId())}`
  try {
    await rename(gate, aside)
    const moved = await readlink(aside)
    await rm(aside)
    // Somebody may have entered between the look and the move: his gate goes back.
    if (isAlive(moved)) await symlink(moved, gate)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error
  }
  return true
}
