import type { PlannedRoute } from '@net/driverapi'
import { fieldOf, flagOf, isObject, refusalOf, textOf, type Fields } from '@net/plugins'
import { formatAddress, formatCidr, isInterfaceName, networkOf, parseAddress, parseCidr } from '@net/types'

/** What a plugin said when an endpoint joined. Plain JSON, part of the endpoint's record. */
export interface JoinAnswer {
  /** The link on the host that becomes the sandbox' interface; absent: the endpoint has none. */
  readonly interface?: RemoteInterface | undefined
  readonly gateway?: string | undefined
  readonly gateway6?: string | undefined
  readonly routes: readonly PlannedRoute[]
  /** The endpoint wants no default route by the gateway network. */
  readonly needsNoGateway: boolean
}

/** A link, and what it is to be called in the sandbox: `name`, or `prefix` with the lowest number that is free. */
export interface RemoteInterface {
  readonly hostName: string
  readonly prefix: string
  readonly name?: string | undefined
}

type Refuse = (why: string) => never

/** So many routes of one endpoint are put up with. */
export const MOST_ROUTES = 1000
/** Digits for the number behind a prefix. */
const ROOM_FOR_NUMBER = 4

/** Reads the answer to `Join`. @throws PluginReplyError (`ERR_PLUGIN_REPLY`) for whatever makes no sense in it */
export function readJoinAnswer(answer: Fields): JoinAnswer {
  const refuse = refusalOf('NetworkDriver.Join')
  return {
    interface: readInterface(answer, refuse),
    gateway: readGateway(answer, 'Gateway', { family: 4, refuse }),
    gateway6: readGateway(answer, 'GatewayIPv6', { family: 6, refuse }),
    routes: readRoutes(answer, refuse),
    needsNoGateway: flagOf(answer, 'DisableGatewayService', refuse),
  }
}

/** Whether a number behind it makes the name of an interface, as behind none at all. */
export function isInterfacePrefix(text: string): boolean {
  return isInterfaceName(text.padEnd(text.length + ROOM_FOR_NUMBER, '0'))
}

function readInterface(answer: Fields, refuse: Refuse): RemoteInterface | undefined {
  const names = fieldOf(answer, 'InterfaceName')
  if (names === undefined) return undefined
  if (!isObject(names)) return refuse('InterfaceName is no object')
  const hostName = textOf(names, 'SrcName', refuse)
  if (hostName === '') return undefined
  const name = textOf(names, 'DstName', refuse)
  const prefix = textOf(names, 'DstPrefix', refuse)
  if (!isInterfaceName(hostName)) return refuse(`SrcName is no interface name: ${quoted(hostName)}`)
  if (name !== '' && !isInterfaceName(name)) return refuse(`DstName is no interface name: ${quoted(name)}`)
  if (!isInterfacePrefix(prefix)) return refuse(`DstPrefix is no prefix of interface names: ${quoted(prefix)}`)
  return { hostName, prefix: prefix === '' ? 'eth' : prefix, ...(name === '' ? {} : { name }) }
}

function readGateway(
  answer: Fields,
  field: string,
  { family, refuse }: { readonly family: 4 | 6; readonly refuse: Refuse },
): string | undefined {
  const text = textOf(answer, field, refuse)
  if (text === '') return undefined
  const address = readAddress(text, () => refuse(`${field} is no address: ${quoted(text)}`))
  return address.family === family ? address.text : refuse(`${field} is no IPv${family} address: ${quoted(text)}`)
}

function readRoutes(answer: Fields, refuse: Refuse): PlannedRoute[] {
  const routes = fieldOf(answer, 'StaticRoutes') ?? []
  if (!Array.isArray(routes)) return refuse('StaticRoutes is no list')
  if (routes.length > MOST_ROUTES) return refuse(`StaticRoutes has ${routes.length}, more than ${MOST_ROUTES}`)
  return routes.map((route: unknown) => readRoute(route, refuse))
}

/** libnetwork: types.NEXTHOP and types.CONNECTED. */
const NEXT_HOP = 0
const CONNECTED = 1

function readRoute(route: unknown, refuse: Refuse): PlannedRoute {
  if (!isObject(route)) return refuse('StaticRoutes has what is no object')
  const target = readDestination(textOf(route, 'Destination', refuse), refuse)
  const kind = fieldOf(route, 'RouteType') ?? NEXT_HOP
  if (kind === CONNECTED) return { destination: target.text }
  if (kind !== NEXT_HOP) return refuse(`RouteType is neither 0 nor 1: ${quoted(kind)}`)
  const text = textOf(route, 'NextHop', refuse)
  const hop = readAddress(text, () => refuse(`NextHop is no address: ${quoted(text)}`))
  if (hop.family !== target.family) return refuse(`NextHop ${hop.text} is of another family than ${target.text}`)
  return { destination: target.text, gateway: hop.text }
}

function readDestination(text: string, refuse: Refuse): { readonly family: 4 | 6; readonly text: string } {
  try {
    const cidr = networkOf(parseCidr(text))
    return { family: cidr.address.family, text: formatCidr(cidr) }
  } catch {
    return refuse(`Destination is no CIDR: ${quoted(text)}`)
  }
}

function readAddress(text: string, refuse: () => never): { readonly family: 4 | 6; readonly text: string } {
  try {
    const address = parseAddress(text)
    return { family: address.family, text: formatAddress(address) }
  } catch {
    return refuse()
  }
}

function quoted(value: unknown): string {
  return JSON.stringify(value).slice(0, 80)
}
