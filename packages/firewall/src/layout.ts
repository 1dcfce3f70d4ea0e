import {
  addChain,
  addRule,
  addSet,
  addTable,
  type BaseChain,
  type NetlinkMessage,
  type TableReference,
} from '@net/netlink-ffi'
import { setsIn } from './sets.ts'
import {
  decideByFamily,
  decideByFamilyAndInterface,
  decideByInterface,
  decideByInterfaces,
  destinationIn,
  endsIn,
  inNetwork,
  interfaceIn,
  interfacesIn,
  isIcmp,
  isNeighbour,
  isPublished,
  masquerade,
  noInputInterface,
  ofFamily,
  ofNetworks,
  rewriteSource,
  stateIs,
  toThisHost,
  translate,
  translateAddress,
  translateShifted,
  verdict,
  type Statement,
} from './statements.ts'

interface ChainLayout {
  /** Where packets come to it by themselves; absent for chains that others lead to. */
  readonly base?: BaseChain
  readonly rules: readonly (readonly Statement[] | ShiftedRule)[]
}

/**
 * A rule of ranges that lead to other ports. `nft` cannot show all of it, nor read what it shows: it is there only
 * once there is such a range.
 */
interface ShiftedRule {
  readonly statements: readonly Statement[]
  readonly comment: string
}

// linux/netfilter_ipv4.h: NF_IP_PRI_*
const RAW = -300
const DSTNAT = -100
const FILTER = 0
const SRCNAT = 100

/** NF_NAT_RANGE_PROTO_OFFSET in words. */
const SHIFTED = 'to port: first + port % (last - first + 1)'

/**
 * The chains and their rules. They do not change with networks and ports, which are in the sets, but for
 * {@link ShiftedRule}.
 * A chain stands before those that lead to it.
 */
const chains: Readonly<Record<string, ChainLayout>> = {
  /** Empty: the place of what endpoints allow and refuse. */
  policies: { rules: [] },
  /** Empty: the place of services, which come before published ports. */
  services: { rules: [] },
  /** What is reached at the container's own address. */
  open: {
    rules: [
      [destinationIn(4, 'open4'), verdict('accept')],
      [destinationIn(6, 'open6'), verdict('accept')],
      [destinationIn(4, 'open4_ranges'), verdict('accept')],
      [destinationIn(6, 'open6_ranges'), verdict('accept')],
    ],
  },
  /** To a network, from outside of it: what is published, and no more. */
  inbound: {
    rules: [[isPublished, verdict('accept')], [interfacesIn('trusted'), verdict('jump open')], [verdict('drop')]],
  },
  /** Between containers of a network that may not speak with each other. */
  apart: {
    rules: [
      [endsIn(4, 'links4'), verdict('accept')],
      [endsIn(6, 'links6'), verdict('accept')],
      [isNeighbour('solicitation'), verdict('accept')],
      [isNeighbour('advertisement'), verdict('accept')],
      [verdict('goto inbound')],
    ],
  },
  /** To a network whose containers' addresses are known outside. */
  routed: {
    rules: [
      [isIcmp(4), verdict('accept')],
      [isIcmp(6), verdict('accept')],
      [verdict('jump open')],
      [verdict('goto inbound')],
    ],
  },
  /** To a network that is open to everybody but other networks. */
  unprotected: {
    rules: [
      [isPublished, verdict('accept')],
      [interfaceIn('iifname', 'bridges'), verdict('drop')],
      [ofNetworks('iifgroup'), verdict('drop')],
      [verdict('accept')],
    ],
  },
  /**
   * From the same bridge to a published port: an answer that went straight to the sender would not be
   * taken for one. From the host: 127.0.0.1 means something else to the container.
   */
  hairpin: { rules: [[isPublished, masquerade]] },
  published: {
    rules: [
      [translate(4, 'ports4_by_address')],
      [translate(4, 'ports4')],
      [translateAddress(4, 'ranges4')],
      { statements: [translateShifted(4)], comment: SHIFTED },
      // A link-local sender cannot be answered from another link.
      [inNetwork('saddr', 'fe80::/10'), verdict('return')],
      [translate(6, 'ports6_by_address')],
      [translate(6, 'ports6')],
      [translateAddress(6, 'ranges6')],
      { statements: [translateShifted(6)], comment: SHIFTED },
    ],
  },
  /** With route_localnet set on bridges the kernel would take these from a container. */
  raw: {
    base: { type: 'filter', hook: 'prerouting', priority: RAW, policy: 'accept' },
    rules: [
      [inNetwork('daddr', '127.0.0.0/8'), interfaceIn('iifname', 'bridges'), verdict('drop')],
      [inNetwork('saddr', '127.0.0.0/8'), interfaceIn('iifname', 'bridges'), verdict('drop')],
    ],
  },
  prerouting: {
    base: { type: 'nat', hook: 'prerouting', priority: DSTNAT, policy: 'accept' },
    rules: [
      // Ports of 127.0.0.1 are this host's own (its connections are translated on their way out),
      // not those of a neighbour who forges the address.
      [inNetwork('daddr', '127.0.0.0/8'), verdict('return')],
      [verdict('jump services')],
      [toThisHost, verdict('jump published')],
    ],
  },
  output: {
    base: { type: 'nat', hook: 'output', priority: DSTNAT, policy: 'accept' },
    rules: [
      // IPv6 has no route_localnet: a packet from ::1 cannot leave the host.
      [inNetwork('daddr', '::1/128'), verdict('return')],
      [verdict('jump services')],
      [toThisHost, verdict('jump published')],
    ],
  },
  forward: {
    base: { type: 'filter', hook: 'forward', priority: FILTER, policy: 'accept' },
    rules: [
      [stateIs('established', 'related'), verdict('accept')],
      [verdict('jump policies')],
      [decideByInterfaces('intra')],
      [decideByInterface('iifname', 'from_network')],
      [decideByFamilyAndInterface('oifname', 'to_network')],
      // What is left goes out of a network of ours, belongs to another controller, or is none of our business.
      [interfaceIn('iifname', 'bridges'), verdict('accept')],
      [ofNetworks('iifgroup'), verdict('accept')],
      [ofNetworks('oifgroup'), verdict('accept')],
      [decideByFamily('between_others')],
    ],
  },
  postrouting: {
    base: { type: 'nat', hook: 'postrouting', priority: SRCNAT, policy: 'accept' },
    rules: [
      [decideByInterfaces('own')],
      [noInputInterface, interfaceIn('oifname', 'bridges'), verdict('goto hairpin')],
      [rewriteSource(4, 'source4')],
      [rewriteSource(6, 'source6')],
      [ofFamily(4), interfaceIn('iifname', 'masquerade4'), masquerade],
      [ofFamily(6), interfaceIn('iifname', 'masquerade6'), masquerade],
    ],
  },
}

/** One message of the fixed table, and what of the kernel it takes. */
export interface LayoutStep {
  readonly message: NetlinkMessage
  readonly needs: string
}

/** What a table is to be like. */
export interface LayoutOptions {
  readonly comment: string
  /** With the rules of ranges that lead to other ports. */
  readonly hasShifted: boolean
}

/** The fixed table, its sets empty. */
export function layoutOf(table: TableReference, { comment, hasShifted }: LayoutOptions): LayoutStep[] {
  const named = Object.entries(chains).map(([name, { base, rules }]) => {
    return [name, { base, rules: rules.filter((rule) => hasShifted || !('comment' in rule)) }] as const
  })
  return [
    { message: addTable({ ...table, comment }), needs: 'nf_tables' },
    ...setsIn(table).map((set) => ({ message: addSet(set), needs: 'nf_tables sets (nf_tables_set)' })),
    ...named.map(([name, { base }]) => ({
      message: addChain({ table, name, base }),
      needs: base?.type === 'nat' ? 'nat chains of family inet (nft_chain_nat)' : 'nf_tables chains of family inet',
    })),
    ...named.flatMap(([name, { rules }]) =>
      rules.map((rule) => {
        const { statements, comment } = 'comment' in rule ? rule : { statements: rule, comment: undefined }
        const expressions = statements.flat()
        return { message: addRule({ chain: { table, name }, expressions, comment }), needs: neededBy(expressions) }
      }),
    ),
  ]
}

/** Expressions that a kernel may have been built without, and the modules they are in. */
const modules: Readonly<Record<string, string>> = {
  fib: 'fib lookups (nft_fib_inet)',
  nat: 'address translation (nft_nat)',
  masq: 'masquerading (nft_masq)',
  ct: 'connection tracking (nft_ct)',
}

function neededBy(expressions: Statement): string {
  const needed = expressions.map(({ name }) => modules[name]).find((module) => module !== undefined)
  return needed ?? 'nf_tables rules'
}
