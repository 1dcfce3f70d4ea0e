import { randomId, shortId } from '@net/types'
import { readFileSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A process that has the store open, once for each time it does. */
export interface Holder {
  /** Name of its file. */
  readonly name: string
  readonly pid: number
  readonly isAlive: boolean
}

/** A name of this process that no other has, and that this one has not used yet. */
export function ownName(): string {
  return `${identityOf(process.pid)}.${shortId(randomId())}`
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
  return names.map((name) => ({ name, pid: Number.parseInt(name), isAlive: isAlive(name) }))
}

/** Whether the process that a name begins with is still that very process. */
export function isAlive(name: string): boolean {
  const pid = Number.parseInt(name)
  return name.startsWith(`${identityOf(pid)}.`)
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
