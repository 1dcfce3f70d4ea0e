import type { FirewallFact } from '@net/driverapi'
import {
  openFirewall,
  openIptablesFirewall,
  removeFirewall,
  type FirewallDeps,
  type TableFirewall,
} from '@net/firewall'
import { shortId, type Logger } from '@net/types'
import type { ControllerOptions } from './controller-options.ts'
import type { StoredController } from './records/stored-forms.ts'

/** The packet rules, made of whatever they are to be made of. */
export function openPacketRules(
  { firewall, foreignFirewall, drift }: ControllerOptions,
  { id, facts }: { readonly id: string; readonly facts: readonly FirewallFact[] },
  deps: FirewallDeps,
): Promise<TableFirewall> {
  return firewall === 'iptables'
    ? openIptablesFirewall({ prefix: prefixOf(id), facts }, deps)
    : openFirewall({ ...tableOf(id), foreignFirewall, drift, facts }, deps)
}

/**
 * Removes the rules that a controller left in the other back end, before it was opened with this one: they would lead on to
 * addresses that others have by then. Whether what is remembered of them is to be forgotten.
 */
export async function removeOtherRules(
  { firewall }: Pick<ControllerOptions, 'firewall'>,
  { id, firewall: before }: Pick<StoredController, 'id' | 'firewall'>,
  logger: Logger,
): Promise<boolean> {
  try {
    if (firewall === 'iptables') {
      removeFirewall(tableOf(id), { logger })
      return false
    }
    if (before !== 'iptables') return false
    // Empty ones take the place of those that are there, and go.
    await using _rules = await openIptablesFirewall({ prefix: prefixOf(id) }, { logger })
    return true
  } catch (error) {
    logger.warn(
      { err: error },
      'packet rules of the other back end could not be removed; it is tried again when opened',
    )
    return false
  }
}

function tableOf(id: string): { readonly table: string; readonly owner: string } {
  return { table: `net_${shortId(id)}`, owner: id }
}

/** What the names of chains begin with. */
function prefixOf(id: string): string {
  return `NET-${shortId(id)}`
}
