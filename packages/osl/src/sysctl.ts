import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs'
import type { Sysctl } from '@net/driverapi'
import { SysctlError } from './errors.ts'

/** A kernel setting of the calling thread's network namespace; undefined where the kernel does not have it. */
export function readSysctl(path: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${path}`, 'utf8').trim()
  } catch {
    return undefined // Writing it says why.
  }
}

/**
 * Sets kernel settings of the calling thread's network namespace. Those that already have their value are
 * not written: writing has effects of its own, and `/proc/sys` may be read-only.
 *
 * @throws SysctlError (`ERR_SYSCTL`)
 */
export function writeSysctls(sysctls: readonly Sysctl[]): void {
  for (const { path, value, optional } of sysctls) {
    try {
      writeSysctl(path, value)
    } catch (cause) {
      if (optional === true && (cause as NodeJS.ErrnoException).code === 'ENOENT') continue
      throw new SysctlError(path, value, cause as Error)
    }
  }
}

/** Longer ones are lists that nobody sets for a network. */
const VALUE_BYTES = 4096
const buffer = Buffer.allocUnsafe(VALUE_BYTES)

/** Finding the file is what takes the kernel its time: it is opened once, for both. */
function writeSysctl(path: string, value: string): void {
  let fd: number
  try {
    fd = openSync(`/proc/sys/${path}`, 'r+')
  } catch (error) {
    if (isUnwritable(error) && readSysctl(path) === value) return
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
