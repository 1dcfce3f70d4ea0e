import { closeSync, readFileSync } from 'node:fs'
import type { AddressFamily } from '@net/types'
import { viewOf } from '../attributes.ts'
import { errnoName, MalformedMessageError, SystemCallError } from '../errors.ts'
import { libc } from '../libc.ts'
import { check } from '../netlink-socket.ts'
import { littleEndian } from '../writer.ts'
import { decodeEntries, entryLayouts, type XtablesRule } from './entries.ts'

const SOCK_DGRAM = 2
const SOCK_CLOEXEC = 0o2000000
/** AF_INET and SOL_IP, AF_INET6 and SOL_IPV6 */
const sockets = { 4: { domain: 2, level: 0 }, 6: { domain: 10, level: 41 } } as const
const names = { 4: 'ip_tables_names', 6: 'ip6_tables_names' } as const
// linux/netfilter_ipv4/ip_tables.h: IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES; those of IPv6 are the same
const GET_INFO = 64
const GET_ENTRIES = 65
/** struct ipt_getinfo: name, valid_hooks, hook_entry, underflow, num_entries, size */
const INFO_BYTES = 84
const HOOK_ENTRIES = 36
const UNDERFLOWS = 56
const SIZE = 80
/** struct ipt_get_entries: name, size, rules */
const NAME_BYTES = 32
const ENTRIES_HEADER = 40
/** Many times what anybody has. */
const MAX_BYTES = 64 * 1024 * 1024
/** linux/netfilter.h: NF_INET_FORWARD */
const FORWARD = 2
/** Another program may change the table between the two questions. */
const ATTEMPTS = 10

/** The table `filter` of the old xtables, which `iptables-legacy` shows. */
export interface LegacyFilter {
  readonly rules: readonly XtablesRule[]
  /** Offset of the first rule of FORWARD. */
  readonly forward: number
  /** Offset of its last one, which is its policy. */
  readonly policy: number
}

/**
 * Reads the filter table of the calling thread's namespace; undefined where there is none. Loads no module and makes no
 * table: only one that is in use is asked for.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EPERM, MalformedMessageError (`ERR_MALFORMED_MESSAGE`)
 */
export function readLegacyFilter(family: AddressFamily): LegacyFilter | undefined {
  if (!isInUse(family)) return undefined
  const { domain } = sockets[family]
  const fd = check(libc().socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket')
  try {
    for (let attempt = 1; ; attempt++) {
      const found = readTable(fd, family)
      if (found !== 'changed') return found
      if (attempt === ATTEMPTS) return undefined
    }
  } finally {
    closeSync(fd)
  }
}

function isInUse(family: AddressFamily): boolean {
  try {
    return readFileSync(`/proc/thread-self/net/${names[family]}`, 'utf8').split('\n').includes('filter')
  } catch {
    return false // The kernel was built without, or has not loaded it.
  }
}

function readTable(fd: number, family: AddressFamily): LegacyFilter | 'changed' {
  const { level } = sockets[family]
  const info = ask(fd, level, GET_INFO, named(INFO_BYTES))
  if (info === 'changed') return info
  const size = viewOf(info).getUint32(SIZE, littleEndian)
  if (size > MAX_BYTES) throw new MalformedMessageError(`table of ${size} bytes`, SIZE)
  const request = named(ENTRIES_HEADER + size)
  viewOf(request).setUint32(NAME_BYTES, size, littleEndian)
  const answer = ask(fd, level, GET_ENTRIES, request)
  if (answer === 'changed') return answer
  return {
    rules: decodeEntries(answer.subarray(ENTRIES_HEADER), entryLayouts[family]),
    forward: viewOf(info).getUint32(HOOK_ENTRIES + 4 * FORWARD, littleEndian),
    policy: viewOf(info).getUint32(UNDERFLOWS + 4 * FORWARD, littleEndian),
  }
}

function named(length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  bytes.set(new TextEncoder().encode('filter'))
  return bytes
}

/** Has the kernel fill `bytes`. */
function ask(fd: number, level: number, option: number, bytes: Uint8Array): Uint8Array | 'changed' {
  const length = new Uint8Array(Uint32Array.of(bytes.length).buffer)
  if (libc().getsockopt(fd, level, option, bytes, length) === 0) return bytes
  const errno = libc().errno()
  // The size is another by now.
  if (['EAGAIN', 'EINVAL'].includes(errnoName(errno)) && option === GET_ENTRIES) return 'changed'
  throw new SystemCallError('getsockopt', errno, 'xtables filter')
}
