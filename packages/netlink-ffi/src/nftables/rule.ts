import { attributes, be64, bytes, list, zstring } from '../attributes.ts'
import { NLM_F_APPEND, NLM_F_CREATE, type NetlinkMessage, type ReceivedMessage } from '../message.ts'
import { describeChain, type ChainReference } from './chain.ts'
import { expressionCodec, type NftExpression } from './expressions.ts'
import { operationMessage, readHeader, type TableReference } from './nfnetlink.ts'
import { describeTable } from './table.ts'
import { commentOf, commentUserdata } from './userdata.ts'

/** NFTA_LIST_ELEM */
const NFTA_LIST_ELEM = 1

/** enum nft_rule_attributes */
const ruleAttributes = attributes({
  table: [1, zstring],
  chain: [2, zstring],
  handle: [3, be64],
  expressions: [4, list(NFTA_LIST_ELEM, expressionCodec)],
  position: [6, be64],
  userdata: [7, bytes],
})

/** A rule to be made: its expressions are carried out one after another until one does not hold. */
export interface NewRule {
  readonly chain: ChainReference
  readonly expressions: readonly NftExpression[]
  readonly comment?: string | undefined
  /** Handle of a rule of the chain that it is put before. @defaultValue it is put at the chain's end */
  readonly before?: bigint | undefined
}

/** A rule as the kernel reports it. */
export interface NftRule {
  readonly chain: ChainReference
  readonly handle: bigint
  /** Those that are not known here are undefined. */
  readonly expressions: readonly (NftExpression | undefined)[]
  readonly comment: string | undefined
  readonly userdata: Uint8Array | undefined
}

/**
 * NFT_MSG_NEWRULE: puts a rule at the end of its chain, or before another. ENOENT when the kernel lacks one of the
 * expressions, or the other rule is gone.
 */
export function addRule(rule: NewRule): NetlinkMessage {
  const { chain, expressions, before } = rule
  const userdata = commentUserdata(rule.comment)
  return operationMessage({
    operation: 'NFT_MSG_NEWRULE',
    // Without NLM_F_APPEND a position is that of the rule to stand before.
    flags: before === undefined ? NLM_F_CREATE | NLM_F_APPEND : NLM_F_CREATE,
    family: chain.table.family,
    about: `${describeChain(chain)} (${expressions.map((expression) => expression.name).join(', ')})`,
    write: (writer) => {
      const { table, name } = chain
      ruleAttributes.write(writer, { table: table.name, chain: name, expressions, position: before, userdata })
    },
  })
}

/** NFT_MSG_DELRULE. ENOENT when there is none. */
export function deleteRule(rule: { readonly chain: ChainReference; readonly handle: bigint }): NetlinkMessage {
  const { chain, handle } = rule
  return operationMessage({
    operation: 'NFT_MSG_DELRULE',
    family: chain.table.family,
    about: `${describeChain(chain)} handle ${handle}`,
    write: (writer) => {
      ruleAttributes.write(writer, { table: chain.table.name, chain: chain.name, handle })
    },
  })
}

/** NFT_MSG_GETRULE, to be dumped: the rules of a table, or of one of its chains. */
export function listRules(table: TableReference, chain?: string): NetlinkMessage {
  return operationMessage({
    operation: 'NFT_MSG_GETRULE',
    family: table.family,
    about: `${describeTable(table)} dump`,
    write: (writer) => {
      ruleAttributes.write(writer, { table: table.name, chain })
    },
  })
}

/** Reads an NFT_MSG_NEWRULE; undefined for a family not known here. @throws MalformedMessageError */
export function decodeRule(message: ReceivedMessage): NftRule | undefined {
  const { family, body } = readHeader(message.payload)
  const { table = '', chain = '', handle = 0n, expressions = [], userdata } = ruleAttributes.read(body)
  if (family === undefined) return undefined
  return {
    chain: { table: { family, name: table }, name: chain },
    handle,
    expressions,
    comment: commentOf(userdata),
    userdata,
  }
}
