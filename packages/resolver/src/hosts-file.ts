import { formatAddress, InvalidAddressError, parseAddress } from '@net/types'
import { InvalidHostNameError } from './errors.ts'

/** One line of a hosts file. */
export interface HostRecord {
  readonly address: string
  readonly names: readonly string[]
}

/** What a container's hosts file begins with. */
const ownRecords: readonly HostRecord[] = [
  { address: '127.0.0.1', names: ['localhost'] },
  { address: '::1', names: ['localhost', 'ip6-localhost', 'ip6-loopback'] },
  { address: 'fe00::', names: ['ip6-localnet'] },
  { address: 'ff00::', names: ['ip6-mcastprefix'] },
  { address: 'ff02::1', names: ['ip6-allnodes'] },
  { address: 'ff02::2', names: ['ip6-allrouters'] },
]

/** They are the same in every container. */
const ownLines = { ofBoth: formatHostRecords(ownRecords), ofIpv4: formatHostRecords(withoutIpv6(ownRecords)) }

/**
 * The text of a hosts file: what every host has, then the records given. Without IPv6 in the container
 * it has no lines of that either, so that nobody tries `::1` in vain.
 *
 * @throws InvalidHostNameError (`ERR_INVALID_HOST_NAME`), InvalidAddressError (`ERR_INVALID_ADDRESS`)
 */
export function formatHosts(records: readonly HostRecord[], { ipv6 }: { readonly ipv6: boolean }): string {
  if (ipv6) return ownLines.ofBoth + formatHostRecords(records)
  return ownLines.ofIpv4 + formatHostRecords(withoutIpv6(records))
}

function withoutIpv6(records: readonly HostRecord[]): HostRecord[] {
  return records.filter(({ address }) => !address.includes(':'))
}

/** The lines of some records: what is added to a file that is there. Throws as {@link formatHosts} does. */
export function formatHostRecords(records: readonly HostRecord[]): string {
  return records.map((record) => `${canonical(record.address)}\t${namesOf(record)}\n`).join('')
}

/** The record of a container itself: its full name and, where it has a domain, the name without. */
export function ownHostRecord(address: string, hostname: string, domainname = ''): HostRecord {
  const fullName = domainname === '' ? hostname : `${hostname}.${domainname}`
  const [first = '', ...rest] = fullName.split('.')
  return { address, names: rest.length === 0 ? [fullName] : [fullName, first] }
}

/** The text without the lines that say just what a record does. Comments stay, empty lines do not. */
export function removeHostRecords(text: string, records: readonly HostRecord[]): string {
  const removed = new Set(records.map((record) => `${canonical(record.address)}\t${namesOf(record)}`))
  const kept = text
    .split('\n')
    .filter((line) => line !== '' && (line.startsWith('#') || !removed.has(spelledAlike(line))))
  return kept.map((line) => `${line}\n`).join('')
}

/** The text with another address wherever a line names `hostname` first, alone or with a domain behind it. */
export function updateHostAddress(text: string, hostname: string, address: string): string {
  const spelled = canonical(address)
  const literal = hostname.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  // A function: in a replacement text `$` would mean something.
  return text.replace(new RegExp(`\\S+(\\t${literal}[\\s.])`, 'g'), (_line, rest: string) => `${spelled}${rest}`)
}

/** A line with its address as it is written here; the line itself where it has none. */
function spelledAlike(line: string): string {
  const tab = line.indexOf('\t')
  try {
    return tab < 0 ? line : `${canonical(line.slice(0, tab).trim())}${line.slice(tab)}`
  } catch (error) {
    if (error instanceof InvalidAddressError) return line
    throw error
  }
}

function canonical(address: string): string {
  return formatAddress(parseAddress(address))
}

function namesOf({ names }: HostRecord): string {
  for (const name of names) if (!/^[^\s#]+$/.test(name)) throw new InvalidHostNameError(name)
  if (names.length === 0) throw new InvalidHostNameError('')
  return names.join(' ')
}
