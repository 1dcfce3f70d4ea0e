import { attributes, be32 } from '../attributes.ts'
import type { NetlinkMessage } from '../message.ts'
import { readNfnetlinkHeader, writeNfnetlinkHeader } from '../nfnetlink-header.ts'
import type { Writer } from '../writer.ts'

// linux/netfilter/nfnetlink.h
const NFNL_SUBSYS_NFTABLES = 10
const NFNL_MSG_BATCH_BEGIN = 0x10
const NFNL_MSG_BATCH_END = 0x11

/** Operations, enum nf_tables_msg_types of linux/netfilter/nf_tables.h. */
const operations = {
  NFT_MSG_NEWTABLE: 0,
  NFT_MSG_GETTABLE: 1,
  NFT_MSG_DELTABLE: 2,
  NFT_MSG_NEWCHAIN: 3,
  NFT_MSG_GETCHAIN: 4,
  NFT_MSG_DELCHAIN: 5,
  NFT_MSG_NEWRULE: 6,
  NFT_MSG_GETRULE: 7,
  NFT_MSG_DELRULE: 8,
  NFT_MSG_NEWSET: 9,
  NFT_MSG_GETSET: 10,
  NFT_MSG_DELSET: 11,
  NFT_MSG_NEWSETELEM: 12,
  NFT_MSG_GETSETELEM: 13,
  NFT_MSG_DELSETELEM: 14,
  NFT_MSG_NEWGEN: 15,
  NFT_MSG_GETGEN: 16,
} as const

const operationNames = new Map(
  Object.entries(operations).map(([name, number]) => [number as number, name as keyof typeof operations]),
)

/** What the type of a netlink message says; undefined where it is none of nf_tables, or none known here. */
export function operationOf(type: number): keyof typeof operations | undefined {
  return type >> 8 === NFNL_SUBSYS_NFTABLES ? operationNames.get(type & 0xff) : undefined
}

/** NFPROTO_*, linux/netfilter.h. */
const familyNumbers = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const

/** What a table sees: `inet` is IPv4 and IPv6 together. */
export type TableFamily = keyof typeof familyNumbers

/** Names a table: its name is unique within its family. */
export interface TableReference {
  readonly family: TableFamily
  readonly name: string
}

/** What a message of nf_tables consists of, besides its attributes. */
export interface OperationRequest {
  readonly operation: keyof typeof operations
  readonly flags?: number
  readonly family?: TableFamily
  /** Follows the operation's name where the message is described. */
  readonly about: string
  readonly write: (writer: Writer) => void
}

/** A message of the nf_tables subsystem. */
export function operationMessage(request: OperationRequest): NetlinkMessage {
  const { operation, flags = 0, family, about, write } = request
  return {
    type: (NFNL_SUBSYS_NFTABLES << 8) | operations[operation],
    flags,
    describe: () => [operation, about].filter((word) => word !== '').join(' '),
    write: (writer) => {
      writeNfnetlinkHeader(writer, family === undefined ? 0 : familyNumbers[family], 0)
      write(writer)
    },
  }
}

/** NFNL_BATCH_GENID: the kernel refuses the batch with ERESTART when its rules have changed since that generation. */
const batchAttributes = attributes({ generation: [1, be32] })

/** Opens the batch that `messages` are. */
export function batchBegin(messages: readonly NetlinkMessage[], generation?: number): NetlinkMessage {
  return {
    type: NFNL_MSG_BATCH_BEGIN,
    flags: 0,
    describe: () => `nftables batch of ${messages.length} beginning with ${messages[0]?.describe() ?? 'nothing'}`,
    write: (writer) => {
      writeNfnetlinkHeader(writer, 0, NFNL_SUBSYS_NFTABLES)
      batchAttributes.write(writer, { generation })
    },
  }
}

/** Closes a batch: only now the kernel makes it true. */
export const batchEnd: NetlinkMessage = {
  type: NFNL_MSG_BATCH_END,
  flags: 0,
  describe: () => 'NFNL_MSG_BATCH_END',
  write: (writer) => {
    writeNfnetlinkHeader(writer, 0, NFNL_SUBSYS_NFTABLES)
  },
}

/** What a message of nf_tables says: the family it is about, and its attributes. */
export function readHeader(payload: Uint8Array): {
  readonly family: TableFamily | undefined
  readonly body: Uint8Array
} {
  const { family, body } = readNfnetlinkHeader(payload)
  return { family: familyNames.get(family), body }
}

const familyNames = new Map(
  Object.entries(familyNumbers).map(([name, number]) => [number as number, name as TableFamily]),
)
