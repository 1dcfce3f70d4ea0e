import { close, readdirSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { viewOf } from './attributes.ts'
import { libc } from './libc.ts'
import { check } from './netlink-socket.ts'
import { littleEndian } from './writer.ts'

/** asm-generic/resource.h */
const RLIMIT_NOFILE = 7
/** struct rlimit, linux/resource.h: two 64-bit numbers. */
const LIMIT_BYTES = 16
const OWN_DESCRIPTORS = '/proc/self/fd'

/** How many descriptors this process may have open. */
export interface DescriptorLimit {
  /** What counts. */
  readonly soft: number
  /** What it may be raised to without CAP_SYS_RESOURCE. */
  readonly hard: number
}

/** The limit of this process now (RLIMIT_NOFILE). */
export function descriptorLimit(): DescriptorLimit {
  const bytes = new Uint8Array(LIMIT_BYTES)
  check(libc().prlimit(0, RLIMIT_NOFILE, null, bytes), 'prlimit', 'RLIMIT_NOFILE')
  const view = viewOf(bytes)
  return { soft: Number(view.getBigUint64(0, littleEndian)), hard: Number(view.getBigUint64(8, littleEndian)) }
}

/**
 * Raises the limit of this process, and of the programs that it starts from then on, to `count` at least. It is never
 * lowered.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EPERM above the hard limit without CAP_SYS_RESOURCE, and above the
 *   kernel's own (`fs.nr_open`)
 */
export function raiseDescriptorLimit(count: number): void {
  const { soft, hard } = descriptorLimit()
  if (soft >= count) return
  const bytes = new Uint8Array(LIMIT_BYTES)
  const view = viewOf(bytes)
  view.setBigUint64(0, BigInt(count), littleEndian)
  view.setBigUint64(8, BigInt(Math.max(hard, count)), littleEndian)
  check(libc().prlimit(0, RLIMIT_NOFILE, bytes, null), 'prlimit', `RLIMIT_NOFILE ${count}`)
}

/** linux/fcntl.h */
const F_DUPFD_CLOEXEC = 1030
const closeOffLoop = promisify(close)

/**
 * Makes room in this process for `count` descriptors more than are open, as far as the limit allows. Where there is none,
 * the kernel doubles its table when it is full, and whoever opens the next descriptor waits until no other thread can be
 * looking at the old one: 10 to 25 ms, on the event loop as a rule. Here a pool thread waits.
 */
export async function makeRoomForDescriptors(count: number): Promise<void> {
  const last = Math.min(countDescriptors() + count, descriptorLimit().soft) - 1
  try {
    await using any = await open('/dev/null')
    const high = await libc().fcntlAsync(any.fd, F_DUPFD_CLOEXEC, last)
    if (high >= 0) await closeOffLoop(high)
  } catch {
    // There is none left to open. Whoever needs one hears of it.
  }
}

/** How many descriptors this process has open, about. */
export function countDescriptors(): number {
  // Linux 6.2 and later say so without listing them.
  const { size } = statSync(OWN_DESCRIPTORS)
  return size > 0 ? size : readdirSync(OWN_DESCRIPTORS).length
}
