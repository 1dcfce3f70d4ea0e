import { PORT_LINK_GROUP } from '@net/driverapi'
import {
  addChain,
  addRule,
  addSet,
  addTable,
  deleteTable,
  isErrno,
  nftExpression,
  type ChainReference,
  type NetlinkMessage,
  type NftExpression,
  type TableReference,
} from '@net/netlink-ffi'
import type { Logger } from '@net/types'
import { unsupported, type FirewallNetlink } from './owned-table.ts'

const { cmp, hostNumber, lookup, meta, payload, remember, verdict } = nftExpression

/** linux/in6.h: IPPROTO_ICMPV6 */
const ICMPV6 = Uint8Array.of(58)
/** linux/icmpv6.h: ICMPV6_MGM_QUERY, ICMPV6_MLD2_REPORT */
const MLD_QUERY = Uint8Array.of(130)
const MLD_REPORT = Uint8Array.of(143)
/** RFC 3810, section 9.12: for so long one who asked counts as somebody who listens. */
const ASKED_MS = 260_000
const ASKED = 'asked'

/**
 * Keeps from containers what their neighbours say of multicast groups. Each that comes reports (MLDv2) the groups of its
 * addresses to everybody, and on a bridge that is all of its ports: with a thousand containers, milliseconds of the
 * kernel's time for each that is attached. As soon as anybody asks, a router among the containers or on the host, the
 * reports pass, as long as he goes on asking.
 *
 * A table of its own, since packets on bridges are seen by the family `bridge` alone. It holds nothing that changes, and
 * where the kernel does not have the family, things are as slow as they are without it.
 */
export class GroupReports {
  readonly #netlink: Pick<FirewallNetlink, 'commit' | 'findTable'>
  readonly #table: TableReference
  readonly #comment: string
  readonly #logger: Logger

  constructor(netlink: Pick<FirewallNetlink, 'commit' | 'findTable'>, name: string, comment: string, logger: Logger) {
    this.#netlink = netlink
    this.#table = { family: 'bridge', name }
    this.#comment = comment
    this.#logger = logger
  }

  /** Puts the table in place. That it cannot be done harms nobody: networks are slower without it. */
  place(): void {
    this.#change(this.#layout(), 'reports of multicast groups go to all containers')
  }

  /** Removes it, if it is there. */
  remove(): void {
    this.#change([], 'the table that keeps reports of multicast groups could not be removed')
  }

  /** Puts what `messages` make in the place of the table, unless it is somebody else's. */
  #change(messages: readonly NetlinkMessage[], failure: string): void {
    const table = this.#table
    try {
      const found = this.#netlink.findTable(table)
      if (found !== undefined && found.comment !== this.#comment)
        this.#logger.warn({ table, owner: found.comment }, `${failure}: a table of that name is somebody else's`)
      else this.#netlink.commit([...(found === undefined ? [] : [deleteTable(table)]), ...messages])
    } catch (error) {
      if (isErrno(error, ...unsupported)) this.#logger.debug({ err: error }, failure)
      else this.#logger.warn({ err: error, table }, failure)
    }
  }

  #layout(): NetlinkMessage[] {
    const table = this.#table
    const rule = (chain: ChainReference, ...statements: readonly (readonly NftExpression[])[]): NetlinkMessage =>
      addRule({ chain, expressions: statements.flat() })
    const base = { type: 'filter', priority: 0, policy: 'accept' } as const
    const [from, to] = [
      { table, name: 'from_container' },
      { table, name: 'to_container' },
    ] as const
    const isOf = (type: Uint8Array): NftExpression[] => {
      return [meta('l4proto'), cmp('eq', ICMPV6), payload('icmpv6 type'), cmp('eq', type)]
    }
    const atPort = (which: 'iifgroup' | 'oifgroup'): NftExpression[] => [meta(which), cmp('eq', hostNumber(PORT_LINK_GROUP))] // prettier-ignore
    return [
      addTable({ ...table, comment: this.#comment }),
      addSet({ table, name: ASKED, key: ['inet_proto'], timeoutMs: ASKED_MS }),
      addChain({ ...from, base: { ...base, hook: 'prerouting' } }),
      rule(from, isOf(MLD_QUERY), atPort('iifgroup'), [meta('l4proto'), remember(ASKED)]),
      rule(from, isOf(MLD_REPORT), atPort('iifgroup'), [meta('l4proto'), lookup(ASKED, { inverted: true }), verdict('drop')]), // prettier-ignore
      // What the host itself asks.
      addChain({ ...to, base: { ...base, hook: 'output' } }),
      rule(to, isOf(MLD_QUERY), atPort('oifgroup'), [meta('l4proto'), remember(ASKED)]),
    ]
  }
}
