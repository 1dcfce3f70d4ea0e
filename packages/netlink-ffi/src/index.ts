/**
 * Linux netlink from Node: links, addresses, routes, nftables, sockets and network namespaces.
 *
 * @packageDocumentation
 */

export {}
