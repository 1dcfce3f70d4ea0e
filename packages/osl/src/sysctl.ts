import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import type { Sysctl } from '@net/driverapi'
import { SysctlError } from './errors.ts'

/** A kernel setting of the calling thread's network namespace; undefined where the kernel does not have it. */
export function readSysctl(path: string): string | undefined {
  return readSetting(`/proc/sys/${path}`)
}

function readSetting(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch {
    return undefined // Writing it says why.
  }
}

/**
 * Sets kernel settings of the calling thread's network namespace. Those that already have their value are
 * not written: writing has effects of its own, and `/proc/sys` may be read-only.
 *
 * @param proc - where procfs is
 * @throws SysctlError (`ERR_SYSCTL`)
 */
export function writeSysctls(sysctls: readonly Sysctl[], proc = '/proc'): void {
  for (const { folder, settings } of byFolder(sysctls)) {
    const path = `${proc}/sys/${folder}`
    const folderFd = settings.length > 1 ? openFolder(path) : undefined
    const base = folderFd === undefined ? path : `/proc/self/fd/${folderFd}`
    try {
      for (const setting of settings) writeSetting(base, setting)
    } finally {
      if (folderFd !== undefined) closeSync(folderFd)
    }
  }
}

/** Settings in a row that lie in one folder. */
interface FolderSettings {
  readonly folder: string
  readonly settings: Sysctl[]
}

function byFolder(sysctls: readonly Sysctl[]): FolderSettings[] {
  const groups: FolderSettings[] = []
  for (const sysctl of sysctls) {
    const folder = dirname(sysctl.path)
    const last = groups.at(-1)
    if (last?.folder === folder) last.settings.push(sysctl)
    else groups.push({ folder, settings: [sysctl] })
  }
  return groups
}

/**
 * The way to `/proc/sys/net/ipv6` grows with the namespaces whose settings were looked for, since the kernel looks at the
 * entry of each: settings of one folder go it once. Undefined where it cannot be opened: its settings say why.
 */
function openFolder(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch {
    return undefined
  }
}

function writeSetting(base: string, { path, value, optional }: Sysctl): void {
  try {
    writeFile(`${base}/${basename(path)}`, value)
  } catch (cause) {
    if (optional === true && (cause as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new SysctlError(path, value, cause as Error)
  }
}

/** Longer ones are lists that nobody sets for a network. */
const VALUE_BYTES = 4096
const buffer = Buffer.allocUnsafe(VALUE_BYTES)

/** Finding the file is what takes the kernel its time: it is opened once, for both. */
function writeFile(file: string, value: string): void {
  let fd: number
  try {
    fd = openSync(file, 'r+')
  } catch (error) {
    if (isUnwritable(error) && readSetting(file) === value) return
    throw error
  }
  try {
    const length = readSync(fd, buffer, 0, VALUE_BYTES, 0)
    if (buffer.toString('utf8', 0, length).trim() !== value) writeSync(fd, value, 0)
  } finally {
    closeSync(fd)
  }
}

function isUnwritable(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'EROFS' || code === 'EACCES' || code === 'EPERM'
}
