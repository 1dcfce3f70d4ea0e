import { randomId, shortId } from '@net/types'
import { readFileSync, readlinkSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { StoreFolder } from './folder.ts'
import { answers, showLife } from './life-sign.ts'

/** A process that has the store open, once for each time it does. */
export interface Holder {
  /** Name of its file. */
  readonly name: string
  /** Its file, which is there as long as it holds the store. */
  readonly mark: string
  readonly pid: number
  readonly state: HolderState
}

/** What is known of a process; `elsewhere` is one of another PID namespace that lives, or may live. */
export type HolderState = 'alive' | 'dead' | 'elsewhere'

/** This process as one that opens, holds or restores a store. Dispose it when it has done so. */
export interface Presence extends AsyncDisposable {
  /** Names it at the gate and among the holders. */
  readonly name: string
}

/** How a name ends whose process shows by a socket of that name that it lives. */
const SOCKET = 'socket'

/** Makes this process known to those of other PID namespaces, if the folder takes sockets; its name says whether. */
export async function appear({ path }: StoreFolder): Promise<Presence> {
  const name = ownName()
  const named = `${name}.${SOCKET}`
  try {
    const sign = await showLife(path, named)
    return { name: named, [Symbol.asyncDispose]: () => sign[Symbol.asyncDispose]() }
  } catch {
    // A store that can be opened is opened; others take this process for alive until its mark is gone.
    return { name, [Symbol.asyncDispose]: () => Promise.resolve() }
  }
}

/** A name of this process that no other has, and that this one has not used yet. */
export function ownName(): string {
  return `${identityOf(process.pid)}.${ownNamespace()}.${shortId(randomId())}`
}

/** Marks the store as held by a process. */
export async function addHolder({ holders }: StoreFolder, name: string): Promise<void> {
  await mkdir(holders, { recursive: true, mode: 0o700 })
  await writeFile(join(holders, name), '')
}

/** Takes marks away again. */
export async function removeHolders({ holders }: StoreFolder, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => rm(join(holders, name), { force: true })))
}

/** Who holds the store, and who did and died. */
export async function listHolders(folder: StoreFolder): Promise<Holder[]> {
  const names = await readdir(folder.holders).catch(() => [])
  return Promise.all(names.map((name) => holderOf(folder, join(folder.holders, name), name)))
}

/**
 * Removes what processes left that died, wherever they did: their sockets, the gates that they passed to open the
 * first one, and, where nobody else holds the store, snapshots that were not finished. For who is inside the gate.
 */
export async function removeLeftovers({ path, gate, snapshot }: StoreFolder, isAlone: boolean): Promise<void> {
  const names = await readdir(path)
  const sockets = names.filter((name) => name.split('.')[SOCKET_FIELD] === SOCKET)
  const states = await Promise.all(sockets.map((name) => stateOf(path, name)))
  const left = [gate, ...(isAlone ? [snapshot] : [])].map((file) => `${basename(file)}.`)
  const dead = [
    ...sockets.filter((_name, index) => states[index] === 'dead'),
    ...names.filter((name) => left.some((start) => name.startsWith(start))),
  ]
  await Promise.all(dead.map((name) => rm(join(path, name), { force: true })))
}

/** Reads a name that {@link appear} has given, or that an older version has. */
export async function holderOf({ path }: StoreFolder, mark: string, name: string): Promise<Holder> {
  return { name, mark, pid: Number.parseInt(name), state: await stateOf(path, name) }
}

/** Where a name says whether there is a socket. */
const SOCKET_FIELD = 5

/** Whether the process that a name begins with is still that very process. */
async function stateOf(path: string, name: string): Promise<HolderState> {
  const fields = name.split('.')
  const [pid, , boot, namespace, id] = fields
  if (boot !== bootId()) return 'dead'
  // The names of older versions have no namespace.
  const isOwn = id === undefined || namespace === ownNamespace()
  if (isOwn) return name.startsWith(`${identityOf(Number(pid))}.`) ? 'alive' : 'dead'
  const isGone = fields[SOCKET_FIELD] === SOCKET && !(await answers(path, basename(name)))
  return isGone ? 'dead' : 'elsewhere'
}

/** The inode of this process's PID namespace. */
function ownNamespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')
  } catch {
    return 'hidden'
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
