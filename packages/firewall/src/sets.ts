import type { NftSet, TableReference } from '@net/netlink-ffi'

type SetDescription = Pick<NftSet, 'key' | 'data' | 'interval'>

/** The sets and maps that facts become elements of. */
export const sets = {
  /** What becomes of packets that stay on a bridge, or come back to it by way of the host. */
  intra: { key: ['ifname', 'ifname'], data: 'verdict' },
  /** What becomes of packets from a network, to anywhere. Only networks that are cut off are in it. */
  from_network: { key: ['ifname'], data: 'verdict' },
  /** What becomes of packets of a family to a network, from anywhere else. */
  to_network: { key: ['nf_proto', 'ifname'], data: 'verdict' },
  /** Interfaces of the host, and the network that they may ask at its containers' own addresses. */
  trusted: { key: ['ifname', 'ifname'] },
  /** Packets that come back to their bridge: not those that leave their network. */
  own: { key: ['ifname', 'ifname'], data: 'verdict' },
  /** The bridges of all networks: what comes from a container. */
  bridges: { key: ['ifname'] },
  /** What becomes of packets of a family between interfaces that are no network's. Empty unless forwarding is for networks. */
  between_others: { key: ['nf_proto'], data: 'verdict' },
  /** Bridges whose packets leave with the host's address. */
  masquerade4: { key: ['ifname'] },
  masquerade6: { key: ['ifname'] },
  /** Bridges whose packets leave with one address of the host, and that address. */
  source4: { key: ['ifname'], data: ['ipv4_addr'] },
  source6: { key: ['ifname'], data: ['ipv6_addr'] },
  /** Ports that are reached at their containers' own addresses, where these are let in. */
  open4: { key: ['ipv4_addr', 'inet_proto', 'inet_service'] },
  open6: { key: ['ipv6_addr', 'inet_proto', 'inet_service'] },
  /** Several in a row. */
  open4_ranges: { key: ['ipv4_addr', 'inet_proto', 'inet_service'], interval: true },
  open6_ranges: { key: ['ipv6_addr', 'inet_proto', 'inet_service'], interval: true },
  /** Who reaches which port of whom, among containers that may not speak with each other. */
  links4: { key: ['ipv4_addr', 'ipv4_addr', 'inet_proto', 'inet_service'] },
  links6: { key: ['ipv6_addr', 'ipv6_addr', 'inet_proto', 'inet_service'] },
  /** Where a port of the host leads to, whichever of its addresses it is asked at. */
  ports4: { key: ['inet_proto', 'inet_service'], data: ['ipv4_addr', 'inet_service'] },
  ports6: { key: ['inet_proto', 'inet_service'], data: ['ipv6_addr', 'inet_service'] },
  /** Where a port of one address of the host leads to. */
  ports4_by_address: { key: ['ipv4_addr', 'inet_proto', 'inet_service'], data: ['ipv4_addr', 'inet_service'] },
  ports6_by_address: { key: ['ipv6_addr', 'inet_proto', 'inet_service'], data: ['ipv6_addr', 'inet_service'] },
  /**
   * Several ports in a row, of one address of the host or of all of them: each leads to the same port of an address.
   * A range is one element, however long it is.
   */
  ranges4: { key: ['ipv4_addr', 'inet_proto', 'inet_service'], data: ['ipv4_addr'], interval: true },
  ranges6: { key: ['ipv6_addr', 'inet_proto', 'inet_service'], data: ['ipv6_addr'], interval: true },
  /**
   * Several ports in a row that lead to others in a row: to the first of the new ones plus the old port modulo the
   * number of new ones, see {@link shiftsOf}. Three maps, and not one of three values, because `nft` can show those.
   */
  shifted4: { key: ['ipv4_addr', 'inet_proto', 'inet_service'], data: ['ipv4_addr'], interval: true },
  shifted4_first: { key: ['ipv4_addr', 'inet_proto', 'inet_service'], data: ['inet_service'], interval: true },
  shifted4_last: { key: ['ipv4_addr', 'inet_proto', 'inet_service'], data: ['inet_service'], interval: true },
  shifted6: { key: ['ipv6_addr', 'inet_proto', 'inet_service'], data: ['ipv6_addr'], interval: true },
  shifted6_first: { key: ['ipv6_addr', 'inet_proto', 'inet_service'], data: ['inet_service'], interval: true },
  shifted6_last: { key: ['ipv6_addr', 'inet_proto', 'inet_service'], data: ['inet_service'], interval: true },
} as const satisfies Record<string, SetDescription>

/** The name of one of the sets. */
export type SetName = keyof typeof sets

/** The set of that name, in `table`. */
export function setIn(table: TableReference, name: SetName): NftSet {
  return { table, name, ...sets[name] }
}

/** All sets, in `table`. */
export function setsIn(table: TableReference): NftSet[] {
  return (Object.keys(sets) as SetName[]).map((name) => setIn(table, name))
}
