import type { NftablesSocket, NftChain, NftRule, TableReference } from '@net/netlink-ffi'
import { fateOf } from './nft-fate.ts'

/** The slice of an nftables socket that other programs' chains are read through. */
export type ForeignReader = Pick<NftablesSocket, 'listChains' | 'listRules'>

/** A chain of another program at the way of forwarded packets. */
export interface ForeignChain {
  /** `ip filter FORWARD` */
  readonly name: string
  readonly chain: NftChain
  readonly rules: readonly NftRule[]
  /** Drops whatever its rules do not name. */
  readonly isBlocking: boolean
  /** Handle of the rule that drops it; undefined where the policy does. */
  readonly decidedBy: bigint | undefined
}

const FAMILIES: readonly string[] = ['ip', 'ip6', 'inet']

/** Chains that forwarded packets pass, of every table but `own`. @throws NetlinkError (`ERR_NETLINK`) */
export function foreignChains(netlink: ForeignReader, own: TableReference): ForeignChain[] {
  return netlink
    .listChains()
    .filter(({ table, base }) => base?.hook === 'forward' && base.type === 'filter' && FAMILIES.includes(table.family))
    .filter(({ table }) => table.family !== own.family || table.name !== own.name)
    .map((chain) => readChain(netlink, chain))
}

function readChain(netlink: ForeignReader, chain: NftChain): ForeignChain {
  const read = new Map<string, readonly NftRule[]>()
  const rulesOf = (name: string): readonly NftRule[] => {
    const rules = read.get(name) ?? netlink.listRules(chain.table, name)
    read.set(name, rules)
    return rules
  }
  const { verdict, decidedBy } = fateOf(chain, rulesOf)
  return {
    name: `${chain.table.family} ${chain.table.name} ${chain.name}`,
    chain,
    rules: rulesOf(chain.name),
    isBlocking: verdict === 'drop',
    decidedBy,
  }
}
