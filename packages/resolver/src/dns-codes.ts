/** Types of records and questions: RFC 1035, 3.2.2, and those that came later. */
export const recordTypes = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  ANY: 255,
} as const

/** The class of everything here, RFC 1035, 3.2.4. */
export const CLASS_IN = 1

/** What became of a question: RFC 1035, 4.1.1, and RFC 6891, 9, for the last. */
export const responseCodes = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const

/** One of {@link responseCodes}. */
export type ResponseCode = keyof typeof responseCodes

/** Bits of the second 16 of a header: RFC 1035, 4.1.1, and RFC 4035, 3, for CD. */
export const headerFlags = {
  response: 0x8000,
  opcode: 0x7800,
  truncated: 0x0200,
  recursionDesired: 0x0100,
  recursionAvailable: 0x0080,
  checkingDisabled: 0x0010,
  responseCode: 0x000f,
} as const

/** Bytes of a message before its question. */
export const HEADER_BYTES = 12
/** What everybody takes by UDP, RFC 1035, 4.2.1. */
export const MIN_UDP_BYTES = 512
/** What fits into the length that precedes a message on TCP, RFC 1035, 4.2.2. */
export const MAX_MESSAGE_BYTES = 65_535
