import { attributes, be32, be64, bytes, zstring } from '../attributes.ts'
import { NLM_F_CREATE, NLM_F_EXCL, type NetlinkMessage, type ReceivedMessage } from '../message.ts'
import { operationMessage, readHeader, type TableFamily, type TableReference } from './nfnetlink.ts'
import { commentOf, commentUserdata } from './userdata.ts'

/** enum nft_table_attributes; the kernel keeps userdata of tables since 5.10. */
const tableAttributes = attributes({ name: [1, zstring], flags: [2, be32], handle: [4, be64], userdata: [6, bytes] })

/** enum nft_table_flags */
const NFT_TABLE_F_DORMANT = 1
const NFT_TABLE_F_OWNER = 2

/** A table to be made. */
export interface NewTable extends TableReference {
  /** Kept with the table and shown by `nft`: who made it, say. */
  readonly comment?: string | undefined
  /** Its chains see no packets. */
  readonly dormant?: boolean
  /** Only the socket that makes it may change it, and it goes with that socket. */
  readonly locked?: boolean
}

/** A table as the kernel reports it. */
export interface NftTable extends TableReference {
  readonly handle: bigint
  readonly dormant: boolean
  readonly comment: string | undefined
  /** As it is, where some other program laid it out in a way of its own. */
  readonly userdata: Uint8Array | undefined
}

/** NFT_MSG_NEWTABLE. EEXIST when the name is taken. */
export function addTable(table: NewTable): NetlinkMessage {
  const userdata = commentUserdata(table.comment)
  return operationMessage({
    operation: 'NFT_MSG_NEWTABLE',
    flags: NLM_F_CREATE | NLM_F_EXCL,
    family: table.family,
    about: describeTable(table),
    write: (writer) => {
      const flags = (table.dormant === true ? NFT_TABLE_F_DORMANT : 0) | (table.locked === true ? NFT_TABLE_F_OWNER : 0)
      tableAttributes.write(writer, { name: table.name, flags: flags === 0 ? undefined : flags, userdata })
    },
  })
}

/** NFT_MSG_DELTABLE, with all that is in it. ENOENT when there is none. */
export function deleteTable(table: TableReference): NetlinkMessage {
  return operationMessage({
    operation: 'NFT_MSG_DELTABLE',
    family: table.family,
    about: describeTable(table),
    write: (writer) => {
      tableAttributes.write(writer, { name: table.name })
    },
  })
}

/** NFT_MSG_GETTABLE of one table. ENOENT when there is none. */
export function getTable(table: TableReference): NetlinkMessage {
  return operationMessage({
    operation: 'NFT_MSG_GETTABLE',
    family: table.family,
    about: describeTable(table),
    write: (writer) => {
      tableAttributes.write(writer, { name: table.name })
    },
  })
}

/** NFT_MSG_GETTABLE, to be dumped: every table of the namespace. */
export const listTables: NetlinkMessage = operationMessage({
  operation: 'NFT_MSG_GETTABLE',
  about: 'dump',
  write: () => undefined,
})

/** Reads an NFT_MSG_NEWTABLE; undefined for a family not known here. @throws MalformedMessageError */
export function decodeTable(message: ReceivedMessage): NftTable | undefined {
  const { family, body } = readHeader(message.payload)
  const { name = '', flags = 0, handle = 0n, userdata } = tableAttributes.read(body)
  if (family === undefined) return undefined
  const dormant = (flags & NFT_TABLE_F_DORMANT) !== 0
  return { family, name, handle, dormant, comment: commentOf(userdata), userdata }
}

/** `inet net`, as `nft` writes it. */
export function describeTable(table: { readonly family: TableFamily; readonly name: string }): string {
  return `${table.family} ${table.name}`
}
