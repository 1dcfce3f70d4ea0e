import { NETWORK_LINK_GROUP } from '@net/driverapi'
import { addRule, deleteRule, nftExpression, type NetlinkMessage, type NftExpression } from '@net/netlink-ffi'
import type { ForeignChain } from './blocking-chain.ts'

const { cmp, counter, hostNumber, meta, verdict, xtablesGroup } = nftExpression

const ENDS = ['iifgroup', 'oifgroup'] as const

/** What our rules in chains of others bear: nothing else is ever taken out of them. */
export function markOf(owner: string): string {
  return `networks of ${owner}`
}

/**
 * What puts our rules where they belong: before what drops all that its rules do not name, so that whatever the other
 * firewall's rules do name stays as its administrator wants it. Nothing where they are right already.
 */
export function insertMessages(foreign: ForeignChain, mark: string): NetlinkMessage[] {
  if (stands(foreign, mark)) return []
  const { chain, decidedBy: before } = foreign
  const added = ENDS.map((which) =>
    addRule({
      chain,
      expressions: acceptOf(foreign, which),
      comment: mark,
      ...(before === undefined ? {} : { before }),
    }),
  )
  return [...removeMessages(foreign, mark), ...added]
}

/** What takes our rules out of the chain. */
export function removeMessages({ chain, rules }: ForeignChain, mark: string): NetlinkMessage[] {
  return rules.filter(({ comment }) => comment === mark).map(({ handle }) => deleteRule({ chain, handle }))
}

/** Whether our rules are there, and the packets come to them. */
function stands({ rules, decidedBy }: ForeignChain, mark: string): boolean {
  const end = decidedBy === undefined ? rules.length : rules.findIndex(({ handle }) => handle === decidedBy)
  const ours = rules.map(({ comment }, at) => (comment === mark ? at : -1)).filter((at) => at >= 0)
  return ours.length === ENDS.length && ours.every((at) => at < end)
}

/** A packet from or to an interface of a network: our own table has the say about it. */
function acceptOf(foreign: ForeignChain, which: (typeof ENDS)[number]): NftExpression[] {
  // `iptables` refuses to show or change a table with a rule that is not written its way.
  return isOfIptables(foreign)
    ? [xtablesGroup(which, NETWORK_LINK_GROUP), counter(), verdict('accept')]
    : [meta(which), cmp('eq', hostNumber(NETWORK_LINK_GROUP)), verdict('accept')]
}

/** Whether the chain is one that `iptables` takes for its own, by its name. */
export function isOfIptables({ chain }: ForeignChain): boolean {
  return chain.table.family !== 'inet' && chain.table.name === 'filter' && chain.name === 'FORWARD'
}
