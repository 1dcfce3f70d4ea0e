import type { CheckNetworkRequest, NetworkRecord } from '@net/driverapi'
import { cidrsOverlap, parseCidr } from '@net/types'
import { BridgeAddressError, BridgeInUseError, BridgeMissingError, NotABridgeError } from './errors.ts'
import { networkLabels } from './labels.ts'
import type { BridgeOptions } from './options.ts'
import { DEFAULT_BRIDGE } from './parse-options.ts'
import { addressesOf } from './plan-network.ts'

/**
 * What the bridge that a network names, or the default one, is like, if the host has it.
 *
 * @throws NotABridgeError (`ERR_NOT_A_BRIDGE`), BridgeInUseError (`ERR_BRIDGE_IN_USE`),
 *   BridgeMissingError (`ERR_BRIDGE_MISSING`)
 */
export function findExistingBridge(
  { bridge: name, isDefault }: BridgeOptions,
  { options, findHostLink }: CheckNetworkRequest,
): BridgeOptions['existing'] {
  const isNamed = Object.hasOwn(options, networkLabels.bridge.name)
  const link = isNamed || isDefault ? findHostLink?.(name) : undefined
  if (link === undefined) {
    if (isDefault && name !== DEFAULT_BRIDGE) throw new BridgeMissingError(name)
    return undefined
  }
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
