import { readFileSync } from 'node:fs'
import { RangeMap } from '@net/types'
import { InvalidPortRangeError } from './errors.ts'

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly first: number
  readonly last: number
}

/** Where the kernel's own range cannot be read. */
const FALLBACK: PortRange = { first: 49_153, last: 65_535 }

/** `range` itself when it is one. @throws InvalidPortRangeError (`ERR_INVALID_PORT_RANGE`) */
export function checkRange(range: PortRange): PortRange {
  const { first, last } = range
  const valid = Number.isInteger(first) && Number.isInteger(last) && first >= 1 && last <= 65_535 && first <= last
  if (!valid) throw new InvalidPortRangeError(first, last)
  return range
}

/** The range that the kernel takes ports of outgoing connections from, for both families. */
export function kernelEphemeralRange(): PortRange {
  const match = /^(\d+)\s+(\d+)/.exec(readSysctl('ip_local_port_range'))
  return match === null ? FALLBACK : { first: Number(match[1]), last: Number(match[2]) }
}

/** Ports that the administrator keeps out of automatic choice: `8080,9000-9010`. */
export function kernelReservedPorts(): RangeMap<true> {
  const reserved = new RangeMap<true>()
  for (const { first, last } of parseReserved(readSysctl('ip_local_reserved_ports'))) {
    // The kernel writes each port once.
    if (reserved.find(first, last) === undefined) reserved.add(first, last, true)
  }
  return reserved
}

/** Reads the kernel's list of reserved ports; what is no port or range in it is left out. */
export function parseReserved(text: string): readonly PortRange[] {
  return text
    .split(',')
    .map((entry) => /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(entry))
    .filter((match) => match !== null)
    .map(([, first, last]) => ({ first: Number(first), last: Number(last ?? first) }))
    .filter(({ first, last }) => first <= last && last <= 65_535)
}

function readSysctl(name: string): string {
  try {
    return readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8')
  } catch {
    return '' // not Linux, or /proc hidden: the fallback serves
  }
}
