import { attributes, i32, u32 } from '../attributes.ts'
import { MalformedMessageError } from '../errors.ts'
import type { NetlinkMessage, ReceivedMessage } from '../message.ts'

// linux/rtnetlink.h
const RTM_GETNSID = 90
/** struct rtgenmsg, and what it takes to align attributes behind it */
const HEADER_LENGTH = 4
/** linux/net_namespace.h: NETNSA_NSID_NOT_ASSIGNED */
const NOT_ASSIGNED = -1

/** NETNSA_NSID and NETNSA_FD, linux/net_namespace.h. */
const namespaceAttributes = attributes({ number: [1, i32], fd: [3, u32] })

/** RTM_GETNSID: by which number one namespace knows another, which `fd` is open on. */
export function getNamespaceNumber(fd: number): NetlinkMessage {
  return {
    type: RTM_GETNSID,
    flags: 0,
    describe: () => 'RTM_GETNSID',
    write: (writer) => {
      writer.u32(0)
      namespaceAttributes.write(writer, { fd })
    },
  }
}

/** Reads the answer; undefined where it has none: no link leads there. @throws MalformedMessageError */
export function decodeNamespaceNumber({ payload }: ReceivedMessage): number | undefined {
  if (payload.length < HEADER_LENGTH) throw new MalformedMessageError('namespace header cut short', 0)
  const { number = NOT_ASSIGNED } = namespaceAttributes.read(payload, HEADER_LENGTH)
  return number === NOT_ASSIGNED ? undefined : number
}
