import { formatCidr, parseAddress, parseCidr, networkOf, formatAddress, type Address, type Cidr } from '@net/types'
import { attributes, u32, viewOf } from '../attributes.ts'
import { MalformedMessageError } from '../errors.ts'
import { NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, type NetlinkMessage, type ReceivedMessage } from '../message.ts'
import type { Writer } from '../writer.ts'
import { AF_INET, familyNumber, ipAddress } from './address.ts'

// linux/rtnetlink.h
export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
const RTM_GETROUTE = 26
const ROUTE_HEADER_LENGTH = 12
const RT_TABLE_MAIN = 254
const RTPROT_STATIC = 4
const RTN_UNICAST = 1
const RT_SCOPE_UNIVERSE = 0
const RT_SCOPE_LINK = 253

/** RTA_*, linux/rtnetlink.h. */
const routeAttributes = attributes({
  destination: [1, ipAddress],
  outputInterface: [4, u32],
  gateway: [5, ipAddress],
  priority: [6, u32],
})

/** A route of the main table. */
export interface Route {
  /** `0.0.0.0/0` and `::/0` are the default routes. */
  readonly destination: string
  /** Next hop. Absent: the destination is on the link. */
  readonly gateway?: string | undefined
  /** Index of the link. Needed where there is no gateway. */
  readonly index?: number | undefined
  /** Of several to one destination the lowest is taken. Written only. @defaultValue the kernel's: 0, and 1024 for IPv6 */
  readonly metric?: number | undefined
}

/** RTM_NEWROUTE. EEXIST when the destination has a route. */
export function addRoute(route: Route): NetlinkMessage {
  return routeMessage(RTM_NEWROUTE, 'RTM_NEWROUTE', NLM_F_CREATE | NLM_F_EXCL, route)
}

/** RTM_NEWROUTE: the route takes the place of the one that its destination has, if it has one. */
export function replaceRoute(route: Route): NetlinkMessage {
  return routeMessage(RTM_NEWROUTE, 'RTM_NEWROUTE replace', NLM_F_CREATE | NLM_F_REPLACE, route)
}

/**
 * RTM_NEWROUTE: an IPv4 route is put before those that its destination has, which count again once it is gone. EEXIST
 * when it is there itself.
 */
export function prependRoute(route: Route): NetlinkMessage {
  return routeMessage(RTM_NEWROUTE, 'RTM_NEWROUTE prepend', NLM_F_CREATE, route)
}

/** RTM_DELROUTE. ESRCH when there is none. */
export function deleteRoute(route: Route): NetlinkMessage {
  return routeMessage(RTM_DELROUTE, 'RTM_DELROUTE', 0, route)
}

/**
 * RTM_GETROUTE, to be dumped: the routes of the main table, which the kernel picks; {@link decodeRoute} picks of these. Of
 * what is not unicast somebody may have made many, which are to be counted, and not to keep the kernel searching.
 */
export const listRoutes: NetlinkMessage = {
  type: RTM_GETROUTE,
  flags: 0,
  describe: () => 'RTM_GETROUTE dump',
  write: (writer) => {
    writeRouteHeader(writer, 0, 0, RT_TABLE_MAIN, 0, 0, 0)
  },
}

/** Reads an RTM_NEWROUTE; undefined for routes that are not unicast ones of the main table. */
export function decodeRoute(message: ReceivedMessage): Route | undefined {
  const { payload } = message
  if (payload.length < ROUTE_HEADER_LENGTH) throw new MalformedMessageError('route header cut short', 0)
  const view = viewOf(payload)
  // In the header a table above 255 is RT_TABLE_COMPAT. For each address the kernel has several routes in the local one.
  if (view.getUint8(4) !== RT_TABLE_MAIN || view.getUint8(7) !== RTN_UNICAST) return undefined
  const values = routeAttributes.read(payload, ROUTE_HEADER_LENGTH)
  const family = view.getUint8(0) === AF_INET ? 4 : 6
  const destination = { address: values.destination ?? { family, value: 0n }, prefixLength: view.getUint8(1) } as const
  return {
    destination: formatCidr(destination),
    ...(values.gateway === undefined ? {} : { gateway: formatAddress(values.gateway) }),
    ...(values.outputInterface === undefined ? {} : { index: values.outputInterface }),
  }
}

/** A route whose destination lies on the link itself, as the kernel makes one for each address. */
export function isOnLink(route: Route): boolean {
  return route.gateway === undefined && !route.destination.endsWith('/0')
}

function routeMessage(type: number, name: string, flags: number, route: Route): NetlinkMessage {
  const destination = networkOf(parseCidr(route.destination))
  const gateway = route.gateway === undefined ? undefined : parseAddress(route.gateway)
  return {
    type,
    flags,
    describe: () => `${name} ${route.destination}${route.gateway === undefined ? '' : ` via ${route.gateway}`}`,
    write: (writer) => {
      writeRoute(writer, { destination, gateway }, route)
    },
  }
}

function writeRoute(
  writer: Writer,
  { destination, gateway }: { readonly destination: Cidr; readonly gateway: Address | undefined },
  { index, metric }: Route,
): void {
  const scope = gateway === undefined && destination.address.family === 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE
  const { address, prefixLength } = destination
  writeRouteHeader(writer, familyNumber(address), prefixLength, RT_TABLE_MAIN, RTPROT_STATIC, scope, RTN_UNICAST)
  routeAttributes.write(writer, {
    destination: prefixLength === 0 ? undefined : address,
    gateway,
    outputInterface: index,
    priority: metric,
  })
}

/** struct rtmsg, linux/rtnetlink.h. */
function writeRouteHeader(
  writer: Writer,
  family: number,
  prefixLength: number,
  table: number,
  protocol: number,
  scope: number,
  type: number,
): void {
  writer.u8(family)
  writer.u8(prefixLength)
  writer.u8(0)
  writer.u8(0)
  writer.u8(table)
  writer.u8(protocol)
  writer.u8(scope)
  writer.u8(type)
  writer.u32(0)
}
