import { formatAddress, macAddressFromBytes, macAddressToBytes, parseAddress, parseMacAddress } from '@net/types'
import { attributes, bytes, viewOf } from '../attributes.ts'
import { MalformedMessageError } from '../errors.ts'
import { NLM_F_CREATE, NLM_F_REPLACE, type NetlinkMessage, type ReceivedMessage } from '../message.ts'
import { littleEndian, type Writer } from '../writer.ts'
import { AF_INET, AF_INET6, familyNumber, ipAddress } from './address.ts'

// linux/rtnetlink.h, linux/neighbour.h
const RTM_NEWNEIGH = 28
const RTM_DELNEIGH = 29
const RTM_GETNEIGH = 30
const NUD_PERMANENT = 0x80
const NEIGHBOUR_HEADER_LENGTH = 12

/** NDA_*, linux/neighbour.h. */
const neighbourAttributes = attributes({ destination: [1, ipAddress], macAddress: [2, bytes] })

/** A permanent entry of the ARP or neighbour table. */
export interface Neighbour {
  /** Index of the link. */
  readonly index: number
  readonly address: string
  readonly macAddress: string
}

/** RTM_NEWNEIGH: makes or replaces a permanent entry. */
export function setNeighbour(neighbour: Neighbour): NetlinkMessage {
  const macAddress = macAddressToBytes(parseMacAddress(neighbour.macAddress))
  return neighbourMessage(RTM_NEWNEIGH, 'RTM_NEWNEIGH', NLM_F_CREATE | NLM_F_REPLACE, neighbour, macAddress)
}

/** RTM_DELNEIGH. ENOENT when there is none. */
export function deleteNeighbour(neighbour: Pick<Neighbour, 'index' | 'address'>): NetlinkMessage {
  return neighbourMessage(RTM_DELNEIGH, 'RTM_DELNEIGH', 0, neighbour)
}

/** RTM_GETNEIGH, to be dumped: the entries of both families. */
export const listNeighbours: NetlinkMessage = {
  type: RTM_GETNEIGH,
  flags: 0,
  describe: () => 'RTM_GETNEIGH dump',
  write: (writer) => {
    writeNeighbourHeader(writer, 0, 0, 0)
  },
}

/** Reads an RTM_NEWNEIGH; undefined for entries without a MAC address and those of bridges. */
export function decodeNeighbour(message: ReceivedMessage): Neighbour | undefined {
  const { payload } = message
  if (payload.length < NEIGHBOUR_HEADER_LENGTH) throw new MalformedMessageError('neighbour header cut short', 0)
  const view = viewOf(payload)
  const family = view.getUint8(0)
  if (family !== AF_INET && family !== AF_INET6) return undefined
  const { destination, macAddress } = neighbourAttributes.read(payload, NEIGHBOUR_HEADER_LENGTH)
  if (destination === undefined || macAddress === undefined) return undefined
  return {
    index: view.getInt32(4, littleEndian),
    address: formatAddress(destination),
    macAddress: macAddressFromBytes(macAddress),
  }
}

function neighbourMessage(
  type: number,
  name: string,
  flags: number,
  neighbour: Pick<Neighbour, 'index' | 'address'>,
  macAddress?: Uint8Array,
): NetlinkMessage {
  const destination = parseAddress(neighbour.address)
  return {
    type,
    flags,
    describe: () => `${name} ${neighbour.address} link ${neighbour.index}`,
    write: (writer) => {
      writeNeighbourHeader(writer, familyNumber(destination), neighbour.index, NUD_PERMANENT)
      neighbourAttributes.write(writer, { destination, macAddress })
    },
  }
}

/** struct ndmsg, linux/neighbour.h. */
function writeNeighbourHeader(writer: Writer, family: number, index: number, state: number): void {
  writer.u8(family)
  writer.u8(0)
  writer.u16(0)
  writer.i32(index)
  writer.u16(state)
  writer.u8(0)
  writer.u8(0)
}
