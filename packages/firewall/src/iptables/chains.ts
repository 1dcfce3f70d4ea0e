import type { TableName } from './rules.ts'

/** The chains of a firewall. */
export interface ChainNames {
  readonly raw: string
  readonly prerouting: string
  readonly output: string
  readonly ports: string
  readonly postrouting: string
  readonly forward: string
  readonly inbound: string
  readonly routed: string
  readonly unprotected: string
  readonly open: string
  readonly apart: string
}

/** linux/netfilter/x_tables.h: XT_EXTENSION_MAXNAMELEN, less its zero byte and the longest ending. */
export const MAX_PREFIX = 28 - '-OUTPUT'.length

/** The names that chains of a firewall have, which all begin alike. */
export function chainNames(prefix: string): ChainNames {
  return {
    raw: `${prefix}-RAW`,
    prerouting: `${prefix}-PRE`,
    output: `${prefix}-OUTPUT`,
    ports: `${prefix}-PORTS`,
    postrouting: `${prefix}-POST`,
    forward: `${prefix}-FWD`,
    inbound: `${prefix}-IN`,
    routed: `${prefix}-ROUTED`,
    unprotected: `${prefix}-ALL`,
    open: `${prefix}-OPEN`,
    apart: `${prefix}-APART`,
  }
}

/** A rule of a chain of iptables itself that leads to one of ours. */
export interface Jump {
  readonly table: TableName
  readonly from: string
  readonly to: string
}

/** Where packets come to our chains. */
export function jumpsOf(prefix: string): Jump[] {
  const names = chainNames(prefix)
  return [
    { table: 'raw', from: 'PREROUTING', to: names.raw },
    { table: 'nat', from: 'PREROUTING', to: names.prerouting },
    { table: 'nat', from: 'OUTPUT', to: names.output },
    { table: 'nat', from: 'POSTROUTING', to: names.postrouting },
    { table: 'filter', from: 'FORWARD', to: names.forward },
  ]
}
