import { randomId, shortId } from '@net/types'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A process that has the store open, once for each time it does. */
export interface Holder {
  /** Name of its file. */
  readonly name: string
  /** Its file, which is there as long as it holds the store. */
  readonly mark: string
  readonly pid: number
  readonly state: HolderState
}

/** What is known of a process; `elsewhere` is one of another PID namespace, of which nothing is. */
export type HolderState = 'alive' | 'dead' | 'elsewhere'

/** A name of this process that no other has, and that this one has not used yet. */
export function ownName(): string {
  return `${identityOf(process.pid)}.${pidNamespaceOf('self')}.${shortId(randomId())}`
}

/** Marks the store as held by this process. @returns the holder's name */
export async function addHolder(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const name = ownName()
  await writeFile(join(folder, name), '')
  return name
}

/** Takes marks away again. */
export async function removeHolders(folder: string, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => rm(join(folder, name), { force: true })))
}

/** Who holds the store, and who did and died. */
export async function listHolders(folder: string): Promise<Holder[]> {
  const names = await readdir(folder).catch(() => [])
  return names.map((name) => holderOf(join(folder, name), name))
}

/** Reads a name that {@link ownName} has given. */
export function holderOf(mark: string, name: string): Holder {
  return { name, mark, pid: Number.parseInt(name), state: stateOf(name) }
}

/** Whether the process that a name begins with is still that very process. */
function stateOf(name: string): HolderState {
  const [pid, , boot, namespace] = name.split('.')
  if (boot !== bootId()) return 'dead'
  if (namespace !== pidNamespaceOf('self')) return isNamespaceGone(namespace) ? 'dead' : 'elsewhere'
  return name.startsWith(`${identityOf(Number(pid))}.`) ? 'alive' : 'dead'
}

/** PROC_PID_INIT_INO of linux/proc_ns.h: whose processes see those of all others. */
const FIRST_NAMESPACE = String(0xeffffffc)

/** Whether no process is left in a PID namespace, which only the first one can tell. */
function isNamespaceGone(namespace: string | undefined): boolean {
  if (pidNamespaceOf('self') !== FIRST_NAMESPACE) return false
  // Process 1 is in the first one, and not everybody may look at it.
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== '1')
  return !pids.some((pid) => [namespace, 'hidden'].includes(pidNamespaceOf(pid)))
}

/** The inode of a process's PID namespace. */
function pidNamespaceOf(pid: string): string {
  try {
    return /\d+/.exec(readlinkSync(`/proc/${pid}/ns/pid`))?.[0] ?? 'hidden'
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // Of a process that has ended there is nothing to read.
    return code === 'ENOENT' || code === 'ESRCH' ? 'none' : 'hidden'
  }
}

/** Number, time of birth and boot of a process: a number alone is given to others again. */
function identityOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // proc(5): the name, in parentheses, may hold anything; the state is the 3rd field, the time of birth the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const isDead = fields[0] === 'Z' || fields[0] === 'X'
    return isDead ? 'nobody' : `${pid}.${String(fields[19])}.${bootId()}`
  } catch {
    return 'nobody'
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8)
}
