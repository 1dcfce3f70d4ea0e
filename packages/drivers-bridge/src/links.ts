import type { CheckEndpointRequest, EndpointRecord, FirewallFact, NetworkRecord } from '@net/driverapi'
import { withoutPrefixLength } from '@net/types'
import { InvalidOptionError } from './errors.ts'
import { endpointLabels } from './labels.ts'
import type { BridgeEndpointOptions, BridgeOptions, LinkedEndpoint } from './options.ts'

/** Ids of endpoints, under libnetwork's names. */
interface Links {
  readonly ParentEndpoints?: readonly string[] | undefined
  readonly ChildEndpoints?: readonly string[] | undefined
}

/**
 * The endpoints that an endpoint is to be linked with, as they are.
 *
 * @throws InvalidOptionError (`ERR_INVALID_OPTION`)
 */
export function findLinked(
  { internal, options }: NetworkRecord<BridgeOptions>,
  { findEndpoint }: CheckEndpointRequest,
  { ParentEndpoints: parents = [], ChildEndpoints: children = [] }: Links,
): Pick<BridgeEndpointOptions, 'parents' | 'children'> {
  const find = (id: string): LinkedEndpoint => {
    const found = options.isDefault && !internal ? findEndpoint?.(id) : undefined
    if (found === undefined) throw new InvalidOptionError(endpointLabels.links.name, id, endpointLabels.links.expected)
    const { address, address6, exposed } = found
    return { address, address6, exposed }
  }
  return { parents: parents.map(find), children: children.map(find) }
}

/** What links tell the packet rules: where containers may speak with each other, nothing. */
export function planLinks(
  { options }: NetworkRecord<BridgeOptions>,
  endpoint: EndpointRecord<BridgeEndpointOptions>,
): FirewallFact[] {
  if (options.interContainer) return []
  const { parents = [], children = [] } = endpoint.options
  return [
    ...parents.flatMap((parent) => linkFacts(parent, endpoint)),
    ...children.flatMap((child) => linkFacts(endpoint, child)),
  ]
}

/** For each port that `to` exposes and each family that both have. */
function linkFacts(from: Omit<LinkedEndpoint, 'exposed'>, to: LinkedEndpoint): FirewallFact[] {
  const ends = [
    [from.address, to.address],
    [from.address6, to.address6],
  ] as const
  return ends.flatMap(([one, other]) => {
    if (one === undefined || other === undefined) return []
    const addresses = { from: withoutPrefixLength(one), to: withoutPrefixLength(other) }
    return to.exposed.map(({ protocol, port }) => ({ kind: 'link', protocol, ...addresses, port }) as const)
  })
}
