import { MalformedMessageError } from './errors.ts'
import { viewOfBuffer } from './attributes.ts'
import { littleEndian, type Writer } from './writer.ts'

// linux/netlink.h
export const NLM_F_REQUEST = 0x1
export const NLM_F_ACK = 0x4
export const NLM_F_ECHO = 0x8
export const NLM_F_DUMP_INTR = 0x10
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
export const NLM_F_REPLACE = 0x100
export const NLM_F_APPEND = 0x800
export const NLM_F_DUMP = 0x300
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
export const NLMSG_OVERRUN = 4
export const HEADER_LENGTH = 16

/** Where things lie in struct nlmsghdr, for filters. */
export const headerFields = { type: { offset: 4, bytes: 2 }, port: { offset: 12, bytes: 4 } } as const

/** One request: what to send, and how to name it in errors and logs. */
export interface NetlinkMessage {
  readonly type: number
  /** Besides NLM_F_REQUEST. */
  readonly flags: number
  /** In words, `RTM_NEWLINK veth1a2b`; asked for only when somebody reads it. */
  describe(): string
  /** Writes what follows the netlink header. */
  write(writer: Writer): void
}

/** A message that came, its payload still in the receive buffer: copy what must live on. */
export interface ReceivedMessage {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  /** The netlink port of whoever brought the message about; 0 is the kernel itself. */
  readonly port: number
  readonly payload: Uint8Array
}

/** Frames `message` with its netlink header. */
export function writeMessage(writer: Writer, message: NetlinkMessage, flags: number, sequence: number): void {
  const start = writer.length
  writer.u32(0)
  writer.u16(message.type)
  writer.u16(message.flags | flags | NLM_F_REQUEST)
  writer.u32(sequence)
  writer.u32(0)
  message.write(writer)
  writer.patchU32(start, writer.length - start)
  writer.align()
}

/** The same message, encoded when it is sent first and copied from then on: for what is sent time and again. */
export function encodedOnce(message: NetlinkMessage): NetlinkMessage {
  let encoded: Uint8Array | undefined
  return {
    type: message.type,
    flags: message.flags,
    describe: () => message.describe(),
    write: (writer) => {
      if (encoded !== undefined) {
        writer.bytes(encoded)
        return
      }
      const start = writer.length
      message.write(writer)
      encoded = writer.written().slice(start)
    },
  }
}

/** Visits the messages of one datagram. @throws MalformedMessageError (`ERR_MALFORMED_MESSAGE`) */
export function walkMessages(datagram: Uint8Array, visit: (message: ReceivedMessage) => void): void {
  const { byteOffset } = datagram
  const view = viewOfBuffer(datagram.buffer)
  for (let offset = 0; offset < datagram.length;) {
    if (datagram.length - offset < HEADER_LENGTH) throw new MalformedMessageError('header cut short', offset)
    const start = byteOffset + offset
    const length = view.getUint32(start, littleEndian)
    if (length < HEADER_LENGTH || offset + length > datagram.length) {
      throw new MalformedMessageError(`length ${length}`, offset)
    }
    visit({
      type: view.getUint16(start + 4, littleEndian),
      flags: view.getUint16(start + 6, littleEndian),
      sequence: view.getUint32(start + 8, littleEndian),
      port: view.getUint32(start + 12, littleEndian),
      payload: datagram.subarray(offset + HEADER_LENGTH, offset + length),
    })
    offset += (length + 3) & ~3
  }
}
