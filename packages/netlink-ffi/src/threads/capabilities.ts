import { viewOf } from '../attributes.ts'
import { isErrno } from '../errors.ts'
import { libc } from '../libc.ts'
import { check } from '../netlink-socket.ts'
import { littleEndian } from '../writer.ts'

/** What root may do, one by one: linux/capability.h. */
export const capabilityNumbers = {
  CHOWN: 0,
  DAC_OVERRIDE: 1,
  DAC_READ_SEARCH: 2,
  FOWNER: 3,
  FSETID: 4,
  KILL: 5,
  SETGID: 6,
  SETUID: 7,
  SETPCAP: 8,
  LINUX_IMMUTABLE: 9,
  NET_BIND_SERVICE: 10,
  NET_BROADCAST: 11,
  NET_ADMIN: 12,
  NET_RAW: 13,
  IPC_LOCK: 14,
  IPC_OWNER: 15,
  SYS_MODULE: 16,
  SYS_RAWIO: 17,
  SYS_CHROOT: 18,
  SYS_PTRACE: 19,
  SYS_PACCT: 20,
  SYS_ADMIN: 21,
  SYS_BOOT: 22,
  SYS_NICE: 23,
  SYS_RESOURCE: 24,
  SYS_TIME: 25,
  SYS_TTY_CONFIG: 26,
  MKNOD: 27,
  LEASE: 28,
  AUDIT_WRITE: 29,
  AUDIT_CONTROL: 30,
  SETFCAP: 31,
  MAC_OVERRIDE: 32,
  MAC_ADMIN: 33,
  SYSLOG: 34,
  WAKE_ALARM: 35,
  BLOCK_SUSPEND: 36,
  AUDIT_READ: 37,
  PERFMON: 38,
  BPF: 39,
  CHECKPOINT_RESTORE: 40,
} as const

/** One of {@link capabilityNumbers}. */
export type Capability = keyof typeof capabilityNumbers

// linux/prctl.h
const PR_CAPBSET_DROP = 24
const PR_SET_SECUREBITS = 28
const PR_SET_NO_NEW_PRIVS = 38
const PR_CAP_AMBIENT = 47
const PR_CAP_AMBIENT_RAISE = 2
const PR_CAP_AMBIENT_CLEAR_ALL = 4

/** linux/securebits.h: root's programs get nothing for being root's, changing the user takes nothing away; both for good. */
const SECURE_BITS = 0b1111
/** linux/capability.h: _LINUX_CAPABILITY_VERSION_3, for the calling thread. */
const VERSION_3 = 0x20080522
const SET_BYTES = 12
const CAPABILITY_LIMIT = 64

/**
 * Limits what the programs that the calling thread starts can do, for good: they have `allowed`, whichever user they
 * run as, and cannot get more, by set-user-id files or otherwise. The thread itself keeps what it has.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EPERM where the thread itself lacks CAP_SETPCAP or one of `allowed`
 */
export function limitPrograms(allowed: readonly Capability[]): void {
  const numbers = allowed.map((name) => capabilityNumbers[name])
  prctl('PR_CAP_AMBIENT_CLEAR_ALL', PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
  setInheritable(numbers)
  for (const number of numbers) prctl('PR_CAP_AMBIENT_RAISE', PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number)
  for (let number = 0; number < CAPABILITY_LIMIT; number++) {
    if (!numbers.includes(number as never) && !dropFromBounds(number)) break
  }
  prctl('PR_SET_SECUREBITS', PR_SET_SECUREBITS, SECURE_BITS)
  prctl('PR_SET_NO_NEW_PRIVS', PR_SET_NO_NEW_PRIVS, 1)
}

/** False where the kernel knows no capability of this number, nor of a higher one. */
function dropFromBounds(number: number): boolean {
  try {
    prctl('PR_CAPBSET_DROP', PR_CAPBSET_DROP, number)
    return true
  } catch (error) {
    if (isErrno(error, 'EINVAL')) return false
    throw error
  }
}

/** What programs may inherit; what the thread itself may do stays as it is. */
function setInheritable(numbers: readonly number[]): void {
  const header = new Uint8Array(8)
  viewOf(header).setUint32(0, VERSION_3, littleEndian)
  // Twice: effective, permitted, inheritable; of 32 capabilities each.
  const sets = new Uint8Array(2 * SET_BYTES)
  check(libc().capget(header, sets), 'capget')
  for (const half of [0, 1]) {
    const mask = numbers.filter((number) => number >> 5 === half).reduce((all, number) => all | (1 << (number & 31)), 0)
    viewOf(sets).setUint32(half * SET_BYTES + 8, mask >>> 0, littleEndian)
  }
  check(libc().capset(header, sets), 'capset')
}

function prctl(name: string, option: number, one: number, two = 0): void {
  check(libc().prctl(option, one, two, 0, 0), 'prctl', name)
}
