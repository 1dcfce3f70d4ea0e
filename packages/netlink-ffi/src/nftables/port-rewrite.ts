import { attributes, be32, list, zstring, writeAttribute, type AttributeCodec } from '../attributes.ts'
import { NLM_F_APPEND, NLM_F_CREATE, type NetlinkMessage } from '../message.ts'
import { describeChain, type ChainReference } from './chain.ts'
import { expressionCodec, nftExpression, type NftExpression } from './expressions.ts'
import { operationMessage } from './nfnetlink.ts'

// enum nft_expr_attributes, enum nft_payload_bases, enum nft_payload_csum_types, NFTA_LIST_ELEM
const NFTA_EXPR_NAME = 1
const NFTA_EXPR_DATA = 2
const NFTA_LIST_ELEM = 1
const NFT_PAYLOAD_TRANSPORT_HEADER = 2
const NFT_PAYLOAD_CSUM_INET = 1
/** NFT_REG_1, the first register. */
const REGISTER = 1

/** enum nft_payload_attributes of an expression that writes */
const writeAttributes = attributes({
  base: [2, be32],
  offset: [3, be32],
  length: [4, be32],
  sourceRegister: [5, be32],
  checksumType: [6, be32],
  checksumOffset: [7, be32],
})

/** Where ports lie in the headers of TCP and UDP, both two bytes long. */
const portOffsets = { sport: 0, dport: 2 } as const
/** Where the headers have their checksums. */
const checksumOffsets = { tcp: 16, udp: 6 } as const

/** A rule that gives packets another port. */
export interface PortRewrite {
  readonly chain: ChainReference
  /** Which packets: expressions that hold. */
  readonly match: readonly NftExpression[]
  readonly protocol: keyof typeof checksumOffsets
  readonly field: keyof typeof portOffsets
  readonly port: number
}

/** `undefined` stands for the expression that writes the port. */
type Step = NftExpression | undefined

/**
 * NFT_MSG_NEWRULE: writes a port into packets as they pass, `udp dport set 5353`. No connection is
 * tracked for it, so the packets that go back need a rule of their own.
 */
export function addPortRewrite(rewrite: PortRewrite): NetlinkMessage {
  const { chain, protocol, field, port } = rewrite
  const bytes = Uint8Array.of(port >> 8, port & 0xff)
  const steps: readonly Step[] = [...rewrite.match, nftExpression.load(bytes), undefined]
  const ruleAttributes = attributes({
    table: [1, zstring],
    chain: [2, zstring],
    expressions: [4, list(NFTA_LIST_ELEM, stepCodec(rewrite))],
  })
  return operationMessage({
    operation: 'NFT_MSG_NEWRULE',
    flags: NLM_F_CREATE | NLM_F_APPEND,
    family: chain.table.family,
    about: `${describeChain(chain)} (${protocol} ${field} set ${port})`,
    write: (writer) => {
      ruleAttributes.write(writer, { table: chain.table.name, chain: chain.name, expressions: steps })
    },
  })
}

function stepCodec({ protocol, field }: PortRewrite): AttributeCodec<Step> {
  return {
    nested: true,
    write(writer, step) {
      if (step !== undefined) {
        expressionCodec.write(writer, step)
        return
      }
      writeAttribute(writer, NFTA_EXPR_NAME, zstring, 'payload')
      writeAttribute(writer, NFTA_EXPR_DATA, writeAttributes, {
        base: NFT_PAYLOAD_TRANSPORT_HEADER,
        offset: portOffsets[field],
        length: 2,
        sourceRegister: REGISTER,
        checksumType: NFT_PAYLOAD_CSUM_INET,
        checksumOffset: checksumOffsets[protocol],
      })
    },
    read: expressionCodec.read.bind(expressionCodec),
  }
}
