import { randomId, shortId } from '@net/types'
import { readlink, rename, rm, symlink } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { StoreInUseError } from './errors.ts'
import type { StoreFolder } from './folder.ts'
import { holderOf, type Holder, type Presence } from './holders.ts'

const RETRY_MS = 10
/** How long one of another PID namespace is waited for, who lives or of whom nobody here can say whether he does. */
const PATIENCE_MS = 5000

/**
 * Lets one process at a time open, close or restore a store. The gate is a symbolic link that leads nowhere and names
 * who is inside: it appears complete or not at all, and needs no room on a full disk. One whose process is dead is put
 * aside. Dispose the result to leave.
 *
 * @throws StoreInUseError (`ERR_STORE_IN_USE`) when somebody of another PID namespace does not leave
 */
export async function passGate(
  folder: StoreFolder,
  { name }: Presence,
  signal?: AbortSignal,
): Promise<AsyncDisposable> {
  const { gate, path } = folder
  const begun = performance.now()
  while (!(await enter(name, gate))) {
    signal?.throwIfAborted()
    const inside = await putAsideIfDead(folder)
    if (inside === undefined) continue
    const isPatient = inside.state === 'alive' || performance.now() - begun < PATIENCE_MS
    if (!isPatient) throw new StoreInUseError(path, [inside])
    await setTimeout(RETRY_MS)
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

/** Who is inside, unless he is dead. */
async function putAsideIfDead(folder: StoreFolder): Promise<Holder | undefined> {
  const { gate } = folder
  const name = await readlink(gate).catch(() => undefined)
  if (name === undefined) return undefined
  const inside = await holderOf(folder, gate, name)
  if (inside.state !== 'dead') return inside
  const aside = `${gate}.${shortId(randomId())}`
  try {
    await rename(gate, aside)
    const moved = await readlink(aside)
    await rm(aside)
    // Somebody may have entered between the look and the move: his gate goes back.
    if (moved !== name) await symlink(moved, gate)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'EEXIST') throw error
  }
  return undefined
}
