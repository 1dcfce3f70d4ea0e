/**
 * Packet rules of networks and published ports, as one nftables table.
 *
 * @packageDocumentation
 */

export {}
