import type { PlannedRoute } from '@net/driverapi'
import { containsAddress, formatAddress, formatCidr, networkOf, parseAddress, parseCidr } from '@net/types'
import { InvalidRequestError } from './errors.ts'
import type { CreateEndpointRequest, RouteRequest } from './requests.ts'
import type { NetworkEntry } from './state.ts'

/**
 * The routes asked for, in their one spelling.
 *
 * @throws InvalidRequestError (`ERR_INVALID_REQUEST`), `ERR_INVALID_CIDR`, `ERR_INVALID_ADDRESS`
 */
export function routesOf(network: NetworkEntry, request: CreateEndpointRequest): PlannedRoute[] {
  return (request.routes ?? []).map((route) => routeOf(network, route))
}

function routeOf(network: NetworkEntry, { destination, gateway }: RouteRequest): PlannedRoute {
  const target = networkOf(parseCidr(destination))
  const { family } = target.address
  const subnet = family === 4 ? network.record.ipv4 : network.record.ipv6
  if (target.prefixLength === 0) throw refusal('a destination that is not everything (see join priority)', destination)
  if (subnet === undefined) {
    throw refusal(`a destination of a family that network ${network.record.name} has`, destination)
  }
  if (gateway === undefined) return { destination: formatCidr(target) }
  const hop = parseAddress(gateway)
  if (hop.family !== family || !containsAddress(parseCidr(subnet.pool), hop)) {
    throw refusal(`a gateway in ${subnet.pool}`, gateway)
  }
  return { destination: formatCidr(target), gateway: formatAddress(hop) }
}

function refusal(expected: string, given: string): InvalidRequestError {
  return new InvalidRequestError('endpoint', 'routes', `expected ${expected}, got ${given}`)
}
