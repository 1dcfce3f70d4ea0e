import type { CheckNetworkRequest, NetworkRecord } from '@net/driverapi'
import { cidrsOverlap, parseCidr } from '@net/types'
import { BridgeAddressError, BridgeInUseError, NotABridgeError } from './errors.ts'
import { networkLabels, readLabels } from './labels.ts'
import type { BridgeOptions } from './options.ts'
import { addressesOf } from './plan-network.ts'

/**
 * What the bridge that a network names is like, if the host has it.
 *
 * @throws NotABridgeError (`ERR_NOT_A_BRIDGE`), BridgeInUseError (`ERR_BRIDGE_IN_USE`)
 */
export function findExistingBridge({ options, findHostLink }: CheckNetworkRequest): BridgeOptions['existing'] {
  const { bridge: name } = readLabels({ bridge: networkLabels.bridge }, options)
  const link = name === undefined ? undefined : findHostLink?.(name)
  if (name === undefined || link === undefined) return undefined
  if (link.kind !== 'bridge') throw new NotABridgeError(name)
  if (link.owner !== undefined) throw new BridgeInUseError(name, `of another controller (${link.owner})`)
  return { addresses: link.addresses, routesLocalnet: link.routesLocalnet }
}

/**
 * Refuses a subnet in which the bridge has another address already: addresses of somebody else's bridge are left as
 * they are, and this one would be given to a container.
 *
 * @throws BridgeAddressError (`ERR_BRIDGE_ADDRESS`)
 */
export function checkSubnets(network: NetworkRecord<BridgeOptions>): void {
  const held = network.options.existing?.addresses ?? []
  for (const wanted of addressesOf(network)) {
    if (held.includes(wanted)) continue
    const other = held.find((address) => cidrsOverlap(parseCidr(address), parseCidr(wanted)))
    if (other !== undefined) throw new BridgeAddressError(network.options.bridge, other, wanted)
  }
}
