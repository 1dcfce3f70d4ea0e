/**
 * Linux netlink from Node: links, addresses, routes, nftables, sockets and network namespaces.
 *
 * @packageDocumentation
 */

export {
  DumpInterruptedError,
  errnoName,
  isErrno,
  MalformedMessageError,
  NetlinkError,
  NoReplyError,
  SystemCallError,
  ValueOutOfRangeError,
} from './errors.ts'
export {
  createNamespace,
  deleteNamespace,
  enterNewNamespace,
  inNamespace,
  inNamespaceAt,
  namespaceOfProcess,
  type Synchronous,
} from './namespace.ts'
export { watchRoutes, type RouteEvent } from './route-events.ts'
export { addAddress, deleteAddress, type InterfaceAddress } from './rtnetlink/address.ts'
export {
  checkInterfaceName,
  createLink,
  deleteLink,
  setBridgePort,
  setLink,
  type BridgePortSettings,
  type Link,
  type LinkReference,
  type LinkSettings,
  type NewLink,
  type VethPeer,
} from './rtnetlink/link.ts'
export { deleteNeighbour, setNeighbour, type Neighbour } from './rtnetlink/neighbour.ts'
export { RouteSocket } from './rtnetlink/route-socket.ts'
export { addRoute, deleteRoute, isOnLink, type Route } from './rtnetlink/route.ts'
export { listBoundSockets, type BoundSocket } from './sock-diag.ts'
