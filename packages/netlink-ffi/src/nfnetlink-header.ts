import { viewOf } from './attributes.ts'
import { MalformedMessageError } from './errors.ts'
import type { Writer } from './writer.ts'

/** linux/netlink.h */
export const NETLINK_NETFILTER = 12
// linux/netfilter/nfnetlink.h
const NFNETLINK_V0 = 0
const HEADER_LENGTH = 4

/** struct nfgenmsg, linux/netfilter/nfnetlink.h: what every message of netfilter begins with. */
export interface NfnetlinkHeader {
  /** NFPROTO_*, linux/netfilter.h */
  readonly family: number
  readonly body: Uint8Array
}

/** Writes the header; the attributes follow. */
export function writeNfnetlinkHeader(writer: Writer, family: number, resource: number): void {
  writer.u8(family)
  writer.u8(NFNETLINK_V0)
  writer.be16(resource)
}

/** Reads the header. @throws MalformedMessageError (`ERR_MALFORMED_MESSAGE`) */
export function readNfnetlinkHeader(payload: Uint8Array): NfnetlinkHeader {
  if (payload.length < HEADER_LENGTH) throw new MalformedMessageError('nfnetlink header cut short', 0)
  return { family: viewOf(payload).getUint8(0), body: payload.subarray(HEADER_LENGTH) }
}
