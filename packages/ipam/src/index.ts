/**
 * Address pools and addresses, IPv4 and IPv6.
 *
 * @packageDocumentation
 */

export {}
