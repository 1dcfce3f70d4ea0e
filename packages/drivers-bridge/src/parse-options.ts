import type { CheckEndpointRequest, CheckNetworkRequest, NetworkRecord } from '@net/driverapi'
import { checkConflicts } from './conflicts.ts'
import { endpointLabels, networkLabels, readLabels } from './labels.ts'
import { findLinked } from './links.ts'
import type { BridgeEndpointOptions, BridgeOptions } from './options.ts'

/** As Docker calls it. */
export const DEFAULT_BRIDGE = 'docker0'

/**
 * Reads the options of a network.
 *
 * @throws InvalidOptionError (`ERR_INVALID_OPTION`)
 */
export function parseNetworkOptions(request: CheckNetworkRequest): BridgeOptions {
  const values = readLabels(networkLabels, request.options)
  const { sourceIpv4, sourceIpv6, gatewayModeIpv4, gatewayModeIpv6, hostBinding } = values
  const isDefault = values.isDefault ?? false
  const options: BridgeOptions = {
    bridge: values.bridge ?? (isDefault ? DEFAULT_BRIDGE : `br-${request.id.slice(0, 12)}`),
    isDefault,
    mtu: values.mtu === 0 ? undefined : values.mtu,
    masquerade: values.masquerade ?? true,
    sources: { ipv4: sourceIpv4, ipv6: sourceIpv6 },
    interContainer: values.interContainer ?? true,
    gatewayModes: { ipv4: gatewayModeIpv4 ?? 'nat', ipv6: gatewayModeIpv6 ?? 'nat' },
    inhibitIpv4: values.inhibitIpv4 ?? false,
    // As in libnetwork: every address of either family, as if nothing had been said.
    hostBinding: hostBinding === '0.0.0.0' ? undefined : hostBinding,
    trustedInterfaces: values.trustedInterfaces ?? [],
    interfacePrefix: values.interfacePrefix ?? 'eth',
  }
  checkConflicts(options, request)
  return options
}

/** Reads the options of an endpoint. @throws as {@link parseNetworkOptions} */
export function parseEndpointOptions(
  network: NetworkRecord<BridgeOptions>,
  request: CheckEndpointRequest,
): BridgeEndpointOptions {
  const { links, ...options } = readLabels(endpointLabels, request.options)
  return links === undefined ? options : { ...options, ...findLinked(network, request, links) }
}
