import { addressFromBytes, addressToBytes, formatCidr, parseCidr, type Address } from '@net/types'
import { attributes, u32, viewOf, type AttributeCodec } from '../attributes.ts'
import { MalformedMessageError } from '../errors.ts'
import { NLM_F_CREATE, NLM_F_EXCL, type NetlinkMessage, type ReceivedMessage } from '../message.ts'
import { littleEndian, type Writer } from '../writer.ts'

// linux/rtnetlink.h, linux/if_addr.h
export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
const RTM_GETADDR = 22
const IFA_F_NODAD = 0x02
const ADDRESS_HEADER_LENGTH = 8
const RT_SCOPE_UNIVERSE = 0
const ALL_LINKS = 0

// linux/socket.h
export const AF_INET = 2
export const AF_INET6 = 10

/** An address as a netlink payload: 4 or 16 bytes. */
export const ipAddress: AttributeCodec<Address> = {
  write: (writer, value) => {
    writer.bytes(addressToBytes(value))
  },
  read(bytes, start, end) {
    const payload = bytes.subarray(start, end)
    if (payload.length !== 4 && payload.length !== 16) {
      throw new MalformedMessageError(`address of ${payload.length} bytes`, 0)
    }
    return addressFromBytes(payload)
  },
}

/** IFA_*, linux/if_addr.h. */
const addressAttributes = attributes({ address: [1, ipAddress], local: [2, ipAddress], flags: [8, u32] })

/** An address of an interface. */
export interface InterfaceAddress {
  /** Index of the link. */
  readonly index: number
  /** With prefix length: `10.0.0.2/24`. */
  readonly address: string
}

/**
 * RTM_NEWADDR: gives a link an address, usable at once (without duplicate address detection).
 * EEXIST when it has it.
 */
export function addAddress(address: InterfaceAddress): NetlinkMessage {
  return addressMessage(RTM_NEWADDR, 'RTM_NEWADDR', NLM_F_CREATE | NLM_F_EXCL, address)
}

/** RTM_DELADDR. EADDRNOTAVAIL when the link does not have it. */
export function deleteAddress(address: InterfaceAddress): NetlinkMessage {
  return addressMessage(RTM_DELADDR, 'RTM_DELADDR', 0, address)
}

/** RTM_GETADDR, to be dumped: every address of one link, or of the namespace. ENODEV when there is no such link. */
export function listAddresses(index = ALL_LINKS): NetlinkMessage {
  return {
    type: RTM_GETADDR,
    flags: 0,
    describe: () => `RTM_GETADDR dump${index === ALL_LINKS ? '' : ` link ${index}`}`,
    write: (writer) => {
      writeAddressHeader(writer, 0, 0, 0, index)
    },
  }
}

/** Reads an RTM_NEWADDR or RTM_DELADDR. @throws MalformedMessageError (`ERR_MALFORMED_MESSAGE`) */
export function decodeAddress(message: ReceivedMessage): InterfaceAddress {
  const { payload } = message
  if (payload.length < ADDRESS_HEADER_LENGTH) throw new MalformedMessageError('address header cut short', 0)
  const values = addressAttributes.read(payload, ADDRESS_HEADER_LENGTH)
  const address = values.local ?? values.address
  if (address === undefined) throw new MalformedMessageError('address missing', ADDRESS_HEADER_LENGTH)
  const view = viewOf(payload)
  return { index: view.getUint32(4, littleEndian), address: formatCidr({ address, prefixLength: view.getUint8(1) }) }
}

/** AF_INET or AF_INET6. */
export function familyNumber(address: Address): number {
  return address.family === 4 ? AF_INET : AF_INET6
}

function addressMessage(type: number, name: string, flags: number, request: InterfaceAddress): NetlinkMessage {
  const { address, prefixLength } = parseCidr(request.address)
  return {
    type,
    flags,
    describe: () => `${name} ${request.address} link ${request.index}`,
    write: (writer) => {
      const isV6 = address.family === 6
      writeAddressHeader(writer, familyNumber(address), prefixLength, isV6 ? IFA_F_NODAD : 0, request.index)
      addressAttributes.write(writer, isV6 ? { address } : { local: address, address })
    },
  }
}

/** struct ifaddrmsg, linux/if_addr.h. */
function writeAddressHeader(writer: Writer, family: number, prefixLength: number, flags: number, index: number): void {
  writer.u8(family)
  writer.u8(prefixLength)
  writer.u8(flags)
  writer.u8(RT_SCOPE_UNIVERSE)
  writer.u32(index)
}
