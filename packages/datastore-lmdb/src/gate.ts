import { createHash } from 'node:crypto'
import { readlink, rm, symlink } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { StoreInUseError } from './errors.ts'
import type { StoreFolder } from './folder.ts'
import { holderOf, type Holder, type Presence } from './holders.ts'

const RETRY_MS = 10
/** How long one of another PID namespace is waited for, who lives or of whom nobody here can say whether he does. */
const PATIENCE_MS = 5000

/**
 * Lets one process at a time open, close or restore a store. The gate is a symbolic link that leads nowhere and names
 * who is inside: it appears complete or not at all, and needs no room on a full disk. Where he is dead, it is opened for
 * the others. Dispose the result to leave.
 *
 * @throws StoreInUseError (`ERR_STORE_IN_USE`) when somebody of another PID namespace does not leave
 */
export function passGate(folder: StoreFolder, { name }: Presence, signal?: AbortSignal): Promise<AsyncDisposable> {
  return pass(folder.gate, { folder, name, signal })
}

/** Who wants to pass, and the store whose gate it is. */
interface Passer {
  readonly folder: StoreFolder
  readonly name: string
  readonly signal: AbortSignal | undefined
}

async function pass(gate: string, passer: Passer): Promise<AsyncDisposable> {
  const begun = performance.now()
  while (!(await enter(passer.name, gate))) {
    passer.signal?.throwIfAborted()
    const inside = await findInside(gate, passer.folder)
    if (inside === undefined) continue
    if (inside.state === 'dead') {
      await open(gate, inside.name, passer)
      continue
    }
    const isPatient = inside.state === 'alive' || performance.now() - begun < PATIENCE_MS
    if (!isPatient) throw new StoreInUseError(passer.folder.path, [inside])
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

async function findInside(gate: string, folder: StoreFolder): Promise<Holder | undefined> {
  const name = await nameAt(gate)
  return name === undefined ? undefined : holderOf(folder, gate, name)
}

function nameAt(gate: string): Promise<string | undefined> {
  return readlink(gate).catch(() => undefined)
}

/**
 * Opens a gate behind somebody who died inside. Two who do so at once could remove the gate of a third, who entered in
 * between: so it takes a gate of its own, which is named after the dead. Nobody is ever given his name again, so that
 * whoever is inside there, and finds him at the first gate, has nobody beside him who changes that. Should he die
 * there, too, his gate is opened in the same way.
 */
async function open(gate: string, dead: string, passer: Passer): Promise<void> {
  const digest = createHash('sha256').update(dead).digest('hex').slice(0, 16)
  await using _alone = await pass(`${gate}.${digest}`, passer)
  if ((await nameAt(gate)) === dead) await rm(gate, { force: true })
}
