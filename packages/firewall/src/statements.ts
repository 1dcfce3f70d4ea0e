import { NETWORK_LINK_GROUP } from '@net/driverapi'
import {
  NF_NAT_RANGE_PROTO_OFFSET,
  nftExpression,
  type NftExpression,
  type NftField,
  type NftVerdict,
} from '@net/netlink-ffi'
import { addressBits, addressToBytes, parseCidr, type AddressFamily } from '@net/types'
import { sets, type SetName } from './sets.ts'

const { and, cmp, ct, fibType, hostNumber, lookup, meta, nat, payload } = nftExpression

/** A part of a rule: what `nft` writes as one or two words. */
export type Statement = readonly NftExpression[]

// linux/netfilter.h: NFPROTO_IPV4, NFPROTO_IPV6
const protocolFamilies = { 4: 2, 6: 10 } as const
/** linux/in.h: IPPROTO_ICMP, linux/in6.h: IPPROTO_ICMPV6 */
const icmpProtocols = { 4: 1, 6: 58 } as const
/** linux/netfilter/nf_conntrack_common.h: 1 << (IP_CT_* + 1) */
const connectionStates = { established: 2, related: 4, new: 8 } as const
/** linux/netfilter/nf_conntrack_common.h: IPS_DST_NAT */
const IPS_DST_NAT = 0x20
/** linux/rtnetlink.h: RTN_LOCAL */
const RTN_LOCAL = 2
/** Slots of four bytes that values take in registers. */
const NAME_SLOTS = 4

/** `meta nfproto ipv4` */
export function ofFamily(family: AddressFamily): Statement {
  return [meta('nfproto'), cmp('eq', Uint8Array.of(protocolFamilies[family]))]
}

/** `ip saddr 127.0.0.0/8`, `ip6 daddr ::1/128` */
export function inNetwork(end: 'saddr' | 'daddr', cidr: string): Statement {
  const { address, prefixLength } = parseCidr(cidr)
  const field: NftField = `${address.family === 4 ? 'ip' : 'ip6'} ${end}`
  const bytes = addressToBytes(address)
  const wholeBytes = prefixLength % 8 === 0
  return [
    ...ofFamily(address.family),
    ...(wholeBytes
      ? [payload(field, 0, prefixLength / 8), cmp('eq', bytes.subarray(0, prefixLength / 8))]
      : [payload(field), and(maskOf(address.family, prefixLength)), cmp('eq', bytes)]),
  ]
}

/** `ct state established,related` */
export function stateIs(...states: readonly (keyof typeof connectionStates)[]): Statement {
  return [ct('state'), ...anyBit(states.reduce((bits, state) => bits | connectionStates[state], 0))]
}

/** `ct status dnat` */
export const isPublished: Statement = [ct('status'), ...anyBit(IPS_DST_NAT)]

/** `fib daddr type local` */
export const toThisHost: Statement = [fibType('daddr'), cmp('eq', hostNumber(RTN_LOCAL))]

/**
 * `iif 0`: packets of the host itself and, where frames on bridges pass the packet rules (bridge-nf-call-iptables),
 * those that stay on their bridge.
 */
export const noInputInterface: Statement = [meta('iif'), cmp('eq', hostNumber(0))]

/** `iifname @bridges` */
export function interfaceIn(which: 'iifname' | 'oifname', set: SetName): Statement {
  return [meta(which), lookup(set)]
}

/** `oifname vmap @to_network` */
export function decideByInterface(which: 'iifname' | 'oifname', map: SetName): Statement {
  return [meta(which), lookup(map, { into: 'verdict' })]
}

/** `iifgroup 7`: the interface is in the group of all bridges of networks, another controller's among them. */
export function ofNetworks(which: 'iifgroup' | 'oifgroup'): Statement {
  return [meta(which), cmp('eq', hostNumber(NETWORK_LINK_GROUP))]
}

/** `meta nfproto . oifname vmap @to_network` */
export function decideByFamilyAndInterface(which: 'iifname' | 'oifname', map: SetName): Statement {
  return [meta('nfproto'), meta(which, 1), lookup(map, { into: 'verdict' })]
}

/** `iifname . oifname @trusted` */
export function interfacesIn(set: SetName): Statement {
  return [meta('iifname'), meta('oifname', NAME_SLOTS), lookup(set)]
}

/** `ip daddr . meta l4proto . th dport @open4` */
export function destinationIn(family: AddressFamily, set: SetName): Statement {
  const slots = addressBits(family) / 32
  return [
    ...ofFamily(family),
    payload(family === 4 ? 'ip daddr' : 'ip6 daddr'),
    meta('l4proto', slots),
    payload('th dport', slots + 1),
    lookup(set),
  ]
}

/** `ip saddr . ip daddr . meta l4proto . th dport @links4` */
export function endsIn(family: AddressFamily, set: SetName): Statement {
  const slots = addressBits(family) / 32
  const header = family === 4 ? 'ip' : 'ip6'
  return [
    ...ofFamily(family),
    payload(`${header} saddr`),
    payload(`${header} daddr`, slots),
    meta('l4proto', 2 * slots),
    payload('th dport', 2 * slots + 1),
    lookup(set),
  ]
}

/** `meta l4proto icmp`, `meta l4proto ipv6-icmp` */
export function isIcmp(family: AddressFamily): Statement {
  return [...ofFamily(family), meta('l4proto'), cmp('eq', Uint8Array.of(icmpProtocols[family]))]
}

/** RFC 4861, 4.3 and 4.4 */
const neighbourDiscovery = { solicitation: 135, advertisement: 136 } as const

/** `icmpv6 type nd-neighbor-solicit`: as ARP, which no rule hears of, does for IPv4. */
export function isNeighbour(message: keyof typeof neighbourDiscovery): Statement {
  return [...isIcmp(6), payload('icmpv6 type'), cmp('eq', Uint8Array.of(neighbourDiscovery[message]))]
}

/** `snat ip to iifname map @source4` */
export function rewriteSource(family: AddressFamily, map: SetName): Statement {
  return [...ofFamily(family), meta('iifname'), lookup(map, { into: 0 }), nat('snat', { family, addressSlot: 0 })]
}

/** `meta nfproto vmap @between_others` */
export function decideByFamily(map: SetName): Statement {
  return [meta('nfproto'), lookup(map, { into: 'verdict' })]
}

/** `iifname . oifname vmap @intra` */
export function decideByInterfaces(map: SetName): Statement {
  return [meta('iifname'), meta('oifname', NAME_SLOTS), lookup(map, { into: 'verdict' })]
}

/** `dnat ip to ip daddr . meta l4proto . th dport map @ports4_by_address`, or without the address */
export function translate(family: AddressFamily, map: SetName): Statement {
  const addressSlots = addressBits(family) / 32
  const withAddress = sets[map].key.length === 3
  const slot = withAddress ? addressSlots : 0
  return [
    ...ofFamily(family),
    ...(withAddress ? [payload(family === 4 ? 'ip daddr' : 'ip6 daddr')] : []),
    // The protocol is part of the key, so what these bytes are where there are no ports is never found.
    meta('l4proto', slot),
    payload('th dport', slot + 1),
    lookup(map, { into: 0 }),
    nat('dnat', { family, addressSlot: 0, portSlot: addressSlots }),
  ]
}

/** `ip daddr . meta l4proto . th dport`, from a slot on */
function hostEnd(family: AddressFamily, slot: number): Statement {
  const addressSlots = addressBits(family) / 32
  return [
    payload(family === 4 ? 'ip daddr' : 'ip6 daddr', slot),
    meta('l4proto', slot + addressSlots),
    payload('th dport', slot + addressSlots + 1),
  ]
}

/** `dnat ip to ip daddr . meta l4proto . th dport map @ranges4`: the port stays what it is */
export function translateAddress(family: AddressFamily, map: SetName): Statement {
  return [...ofFamily(family), ...hostEnd(family, 0), lookup(map, { into: 0 }), nat('dnat', { family, addressSlot: 0 })]
}

/** Slots that neither an address nor the two ports after it take. */
const BEHIND_PORTS = 8

/** As {@link translateAddress}, to the port that {@link shiftsOf} describes: `nft` has no word for how it is found. */
export function translateShifted(family: AddressFamily): Statement {
  const portSlot = addressBits(family) / 32
  const lookedUp = [
    [`shifted${family}`, 0],
    [`shifted${family}_first`, portSlot],
    [`shifted${family}_last`, portSlot + 1],
  ] as const
  return [
    ...ofFamily(family),
    ...lookedUp.flatMap(([map, into]) => [
      ...hostEnd(family, BEHIND_PORTS),
      lookup(map satisfies SetName, { from: BEHIND_PORTS, into }),
    ]),
    nat('dnat', {
      ...{ family, addressSlot: 0, portSlot, portMaximumSlot: portSlot + 1 },
      flags: NF_NAT_RANGE_PROTO_OFFSET,
    }),
  ]
}

/** `masquerade` */
export const masquerade: Statement = [nftExpression.masquerade()]

/** `accept`, `jump published` */
export function verdict(value: NftVerdict): Statement {
  return [nftExpression.verdict(value)]
}

function anyBit(bits: number): Statement {
  return [and(hostNumber(bits)), cmp('neq', hostNumber(0))]
}

function maskOf(family: AddressFamily, prefixLength: number): Uint8Array {
  const all = (1n << BigInt(addressBits(family))) - 1n
  return addressToBytes({ family, value: all & ~(all >> BigInt(prefixLength)) })
}
