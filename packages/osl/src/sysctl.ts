import { readFileSync, writeFileSync } from 'node:fs'
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
    const file = `/proc/sys/${path}`
    try {
      if (readFileSync(file, 'utf8').trim() !== value) writeFileSync(file, value)
    } catch (cause) {
      if (optional === true && (cause as NodeJS.ErrnoException).code === 'ENOENT') continue
      throw new SysctlError(path, value, cause as Error)
    }
  }
}
