import type {
  FirewallFact,
  ForwardingFact,
  Inbound,
  LinkFact,
  NetworkFact,
  OpenPortFact,
  PerFamily,
  PortFact,
} from '@net/driverapi'
import { checkInterfaceName } from '@net/netlink-ffi'
import {
  checkPort,
  checkPortCount,
  formatAddress,
  formatCidr,
  formatPorts,
  isProtocol,
  networkOf,
  parseAddress,
  parseCidr,
  type AddressFamily,
  type NetError,
  type Protocol,
} from '@net/types'
import { ForwardingKnownError, InvalidFactError, NetworkKnownError, PortPublishedError } from './errors.ts'

/** A network, checked. */
export interface CheckedNetwork {
  readonly kind: 'network'
  readonly bridge: string
  readonly internal: boolean
  readonly interContainer: boolean
  readonly masquerade: readonly AddressFamily[]
  readonly sources: PerFamily<string>
  readonly inbound: { readonly ipv4: Inbound; readonly ipv6: Inbound }
  readonly trusted: readonly string[]
  readonly prefixes: PerFamily<string>
}

/** An open port, checked. */
export interface CheckedOpenPort {
  readonly kind: 'open-port'
  readonly family: AddressFamily
  readonly protocol: Protocol
  readonly address: string
  readonly port: number
  readonly count: number
}

/** A link, checked. */
export interface CheckedLink {
  readonly kind: 'link'
  readonly family: AddressFamily
  readonly protocol: Protocol
  readonly from: string
  readonly to: string
  readonly port: number
}

/** A published port, checked: addresses are in their one spelling, a wildcard is absent. */
export interface CheckedPort {
  readonly kind: 'port'
  readonly family: AddressFamily
  readonly protocol: Protocol
  readonly hostAddress: string | undefined
  readonly hostPort: number
  readonly containerAddress: string
  readonly containerPort: number
  readonly count: number
}

/** A fact that has been checked, in the one spelling that facts are compared in. */
export type CheckedFact = CheckedNetwork | CheckedPort | CheckedOpenPort | CheckedLink | ForwardingFact

/** Addresses by what they were given as: the facts of a change are about the same few, some of them thousands. */
export type KnownAddresses = Map<string, KnownAddress>

interface KnownAddress {
  readonly family: AddressFamily
  /** 0.0.0.0 or ::. */
  readonly isEvery: boolean
  readonly text: string
}

/**
 * Checks a fact. Those of one change may share what they know of `addresses`.
 *
 * @throws InvalidFactError (`ERR_INVALID_FACT`), and the errors of addresses, ports and interface names
 */
export function checkFact(fact: FirewallFact, addresses: KnownAddresses = new Map()): CheckedFact {
  switch (fact.kind) {
    case 'network':
      return checkNetwork(fact)
    case 'port':
      return checkPublishedPort(fact, addresses)
    case 'open-port':
      return checkOpenPort(fact, addresses)
    case 'link':
      return checkLink(fact, addresses)
    case 'forwarding':
      return { kind: 'forwarding', family: fact.family }
  }
}

/** What only one fact can have: the bridge of a network, the host's end of a port, a family. */
export function keyOf(fact: CheckedFact): string {
  switch (fact.kind) {
    case 'network':
      return `network ${fact.bridge}`
    case 'port':
      return `port ${formatHostEnd(fact)}`
    case 'open-port':
      return `open port ${formatOpenPort(fact)}`
    case 'link':
      return `link ${formatLink(fact)}`
    case 'forwarding':
      return `forwarding ${fact.family}`
  }
}

function isSameHostEnd(one: CheckedPort, other: CheckedPort): boolean {
  return (
    one.hostPort === other.hostPort &&
    one.count === other.count &&
    one.hostAddress === other.hostAddress &&
    one.protocol === other.protocol &&
    one.family === other.family
  )
}

/** Whether a fact may be stated more than once, and is true until it is taken back as often. */
export function isCounted({ kind }: CheckedFact): boolean {
  return kind === 'open-port' || kind === 'link'
}

/** Whether both say the same. Facts of the same key may differ: in where a port leads to, say. */
export function isSameFact(one: CheckedFact, other: CheckedFact): boolean {
  if (one.kind === 'forwarding' || isCounted(one)) return keyOf(one) === keyOf(other)
  if (one.kind === 'port') {
    return (
      other.kind === 'port' &&
      isSameHostEnd(one, other) &&
      one.containerAddress === other.containerAddress &&
      one.containerPort === other.containerPort
    )
  }
  // Both are in the one spelling, member for member.
  return JSON.stringify(one) === JSON.stringify(other)
}

/** Says that a fact of the same key, or `other`, which has some of its ports, is there. */
export function alreadyThere(fact: CheckedFact, other?: CheckedPort): NetError {
  switch (fact.kind) {
    case 'network':
      return new NetworkKnownError(fact.bridge)
    case 'port':
      return new PortPublishedError(formatHostEnd(fact), other && formatHostEnd(other))
    case 'open-port':
      return new PortPublishedError(formatOpenPort(fact))
    case 'link':
      return new PortPublishedError(formatLink(fact))
    case 'forwarding':
      return new ForwardingKnownError(fact.family)
  }
}

function checkNetwork(fact: NetworkFact): CheckedNetwork {
  const { bridge, internal, interContainer, masquerade, sources = {}, inbound = {}, trusted = [], prefixes = {} } = fact
  for (const name of [bridge, ...trusted]) checkInterfaceName(name)
  return {
    kind: 'network',
    bridge,
    internal,
    interContainer,
    masquerade: [...new Set(masquerade)].sort(),
    sources: { ipv4: checkSource(sources.ipv4, 4), ipv6: checkSource(sources.ipv6, 6) },
    inbound: { ipv4: checkInbound(inbound.ipv4), ipv6: checkInbound(inbound.ipv6) },
    trusted: [...new Set(trusted)].sort(),
    prefixes: { ipv4: checkPrefix(prefixes.ipv4, 4), ipv6: checkPrefix(prefixes.ipv6, 6) },
  }
}

function checkPrefix(text: string | undefined, family: AddressFamily): string | undefined {
  if (text === undefined) return undefined
  const prefix = parseCidr(text)
  if (prefix.address.family !== family) throw new InvalidFactError('prefix', text, `an IPv${family} prefix`)
  return formatCidr(networkOf(prefix))
}

function checkSource(text: string | undefined, family: AddressFamily): string | undefined {
  if (text === undefined) return undefined
  const source = checkHostAddress(text, family)
  if (source === undefined) throw new InvalidFactError('source', text, 'an address of the host')
  return source
}

function checkInbound(inbound: Inbound = 'published'): Inbound {
  if (['published', 'routed', 'all'].includes(inbound)) return inbound
  throw new InvalidFactError('inbound', inbound, 'published, routed or all')
}

function checkOpenPort(
  { protocol, address, port, count = 1 }: OpenPortFact,
  addresses: KnownAddresses,
): CheckedOpenPort {
  const container = knownAddress(address, addresses)
  return {
    kind: 'open-port',
    family: container.family,
    protocol: checkProtocol(protocol),
    address: container.text,
    port: checkPort(port),
    count: checkPortCount(port, count),
  }
}

function checkLink({ protocol, from, to, port }: LinkFact, addresses: KnownAddresses): CheckedLink {
  const [one, other] = [knownAddress(from, addresses), knownAddress(to, addresses)]
  if (one.family !== other.family) throw new InvalidFactError('link', to, `an IPv${one.family} address as ${from}`)
  const checked = { family: one.family, protocol: checkProtocol(protocol), port: checkPort(port) }
  return { kind: 'link', ...checked, from: one.text, to: other.text }
}

function checkProtocol(protocol: Protocol): Protocol {
  if (!isProtocol(protocol)) throw new InvalidFactError('protocol', String(protocol), 'tcp, udp or sctp')
  return protocol
}

function checkPublishedPort(fact: PortFact, addresses: KnownAddresses): CheckedPort {
  const { family, text: containerAddress } = knownAddress(fact.containerAddress, addresses)
  const { hostPort, containerPort, count = 1 } = fact
  const protocol = checkProtocol(fact.protocol)
  const { hostAddress: given } = fact
  const hostAddress = given === undefined ? undefined : checkHostAddress(given, family, addresses)
  return {
    kind: 'port',
    family,
    protocol,
    hostAddress,
    hostPort: checkPort(hostPort),
    containerAddress,
    containerPort: checkPort(containerPort),
    count: Math.min(checkPortCount(hostPort, count), checkPortCount(containerPort, count)),
  }
}

/** The host's address in its one spelling; undefined for 0.0.0.0 and ::, which mean every address. */
function checkHostAddress(
  text: string,
  family: AddressFamily,
  addresses: KnownAddresses = new Map(),
): string | undefined {
  const address = knownAddress(text, addresses)
  if (address.family !== family) {
    throw new InvalidFactError('host address', text, `an IPv${family} address`)
  }
  return address.isEvery ? undefined : address.text
}

function knownAddress(given: string, addresses: KnownAddresses): KnownAddress {
  const known = addresses.get(given)
  if (known !== undefined) return known
  const parsed = parseAddress(given)
  const address = { family: parsed.family, isEvery: parsed.value === 0n, text: formatAddress(parsed) }
  addresses.set(given, address)
  return address
}

function formatOpenPort({ family, address, port, protocol, count }: CheckedOpenPort): string {
  return `${family === 4 ? address : `[${address}]`}:${formatPorts(port, count)}/${protocol}`
}

function formatLink({ family, from, to, port, protocol }: CheckedLink): string {
  return `${from} to ${family === 4 ? to : `[${to}]`}:${port}/${protocol}`
}

function formatHostEnd(port: CheckedPort): string {
  const host = port.hostAddress ?? (port.family === 4 ? '0.0.0.0' : '::')
  return `${port.family === 4 ? host : `[${host}]`}:${formatPorts(port.hostPort, port.count)}/${port.protocol}`
}
