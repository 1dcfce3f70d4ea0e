import { NETWORK_LINK_GROUP } from '@net/driverapi'
import type { AddressFamily } from '@net/types'
import { isOfIptables } from './accept-rules.ts'
import type { ForeignChain } from './blocking-chain.ts'

/** Commands that let packets of networks through a chain, as an administrator would run them. */
export function commandsFor(foreign: ForeignChain): string[] {
  const { table, name } = foreign.chain
  if (isOfIptables(foreign)) return iptablesCommands(table.family === 'ip' ? 'iptables' : 'ip6tables')
  return ['iifgroup', 'oifgroup'].map(
    (which) => `nft insert rule ${table.family} ${table.name} ${name} ${which} ${NETWORK_LINK_GROUP} accept`,
  )
}

/** The same, for the old xtables, which only `iptables-legacy` changes. */
export function legacyCommandsFor(family: AddressFamily): string[] {
  return iptablesCommands(family === 4 ? 'iptables-legacy' : 'ip6tables-legacy')
}

function iptablesCommands(command: string): string[] {
  return ['src', 'dst'].map((end) => `${command} -I FORWARD -m devgroup --${end}-group ${NETWORK_LINK_GROUP} -j ACCEPT`)
}
