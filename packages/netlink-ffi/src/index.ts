/**
 * Linux netlink from Node: links, addresses, routes, nftables, sockets and network namespaces.
 *
 * @packageDocumentation
 */

export { ConntrackSocket } from './conntrack/conntrack-socket.ts'
export type { Flow, FlowFilter, FlowTuple } from './conntrack/flow.ts'
export {
  countDescriptors,
  descriptorLimit,
  makeRoomForDescriptors,
  raiseDescriptorLimit,
  type DescriptorLimit,
} from './descriptor-limit.ts'
export {
  BatchTooLargeError,
  DumpInterruptedError,
  errnoName,
  isErrno,
  MalformedMessageError,
  NameHeldError,
  NetlinkError,
  NoReplyError,
  SystemCallError,
  ValueOutOfRangeError,
} from './errors.ts'
export { holdName, isNameHeld, type HeldName } from './held-name.ts'
export { holdPort, type HeldPort, type HoldPortRequest, type SharablePort } from './held-port.ts'
export { watchFarEnds, type FarEndEvent } from './far-end-events.ts'
export { findInterfaceIndex } from './interface-index.ts'
export { watchInterfaces, type InterfaceEvent } from './interface-events.ts'
export { encodedOnce, type NetlinkMessage } from './message.ts'
export {
  adoptNamespace,
  createNamespace,
  deleteNamespace,
  enterNewNamespace,
  inNamespace,
  inNamespaceAt,
  namespaceOfProcess,
  type Synchronous,
} from './namespace.ts'
export {
  addChain,
  deleteChain,
  type BaseChain,
  type ChainReference,
  type NewChain,
  type NftChain,
  type NftHook,
} from './nftables/chain.ts'
export type { NftDataType, NftValue } from './nftables/data-types.ts'
export { deleteTableOffLoop } from './nftables/delete-off-loop.ts'
export { addElements, deleteElements, type NftElement, type NftElementReport } from './nftables/element.ts'
export {
  NF_NAT_RANGE_PROTO_OFFSET,
  nftExpression,
  type LookupOptions,
  type NatOptions,
  type NftExpression,
  type NftField,
} from './nftables/expressions.ts'
export type { TableFamily, TableReference } from './nftables/nfnetlink.ts'
export { NftablesSocket, type CommitOptions, type NftablesSocketOptions } from './nftables/nftables-socket.ts'
export type { RuleAuthor, RuleChange, RuleSubject } from './nftables/rule-change.ts'
export { watchRules, type RuleCommit, type RuleEvent, type WatchRulesOptions } from './nftables/rule-events.ts'
export { addRule, deleteRule, type NewRule, type NftRule } from './nftables/rule.ts'
export { addSet, deleteSet, type NftSet, type NftSetReport, type SetReference } from './nftables/set.ts'
export { addTable, deleteTable, type NewTable, type NftTable } from './nftables/table.ts'
export type { NftVerdict } from './nftables/verdict.ts'
export { mountProc } from './proc-mount.ts'
export type { Interest } from './readiness.ts'
export { watchRoutes, type RouteEvent } from './route-events.ts'
export { addAddress, deleteAddress, type InterfaceAddress } from './rtnetlink/address.ts'
export {
  checkInterfaceName,
  createLink,
  deleteLink,
  filterBridge,
  makeDormant,
  moveLink,
  setBridgePort,
  setBridgePortUp,
  setLink,
  type BridgePortSettings,
  type Link,
  type LinkReference,
  type LinkStatistics,
  type LinkSettings,
  type NewLink,
  type VethPeer,
} from './rtnetlink/link.ts'
export { deleteNeighbour, setNeighbour, type Neighbour } from './rtnetlink/neighbour.ts'
export { RouteSocket } from './rtnetlink/route-socket.ts'
export { addRoute, deleteRoute, isOnLink, prependRoute, replaceRoute, type Route } from './rtnetlink/route.ts'
export { listBoundSockets, listBoundSocketsOffLoop, type BoundSocket } from './sock-diag.ts'
export { AnsweringSocket, type DatagramOrigin } from './sockets/answering-socket.ts'
export { DatagramBatch } from './sockets/datagram-batch.ts'
export { DatagramSocket, type BindOptions } from './sockets/datagram-socket.ts'
export type { ListenOptions } from './sockets/native.ts'
export { SctpListener } from './sockets/sctp-listener.ts'
export { hasSctp, SctpSocket, type SctpLabel, type SctpPart } from './sockets/sctp-socket.ts'
export type { SocketAddress } from './sockets/socket-address.ts'
export { duplicate, socketPair } from './sockets/socket-pair.ts'
export { connectStream, listenStream } from './sockets/stream-socket.ts'
export { capabilityNumbers, limitPrograms, type Capability } from './threads/capabilities.ts'
export { HostView, type MountedFile, type OwnView } from './threads/host-view.ts'
export type { XtablesRule, XtablesTarget } from './xtables/entries.ts'
export { readLegacyFilter, type LegacyFilter } from './xtables/legacy-table.ts'
