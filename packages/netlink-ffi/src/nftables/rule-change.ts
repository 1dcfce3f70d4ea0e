import { attributes, be32, zstring } from '../attributes.ts'
import type { ReceivedMessage } from '../message.ts'
import { operationOf, readHeader, type TableReference } from './nfnetlink.ts'

/** What a change of rules is about. */
export type RuleSubject = 'table' | 'chain' | 'rule' | 'set' | 'element'

/** Some things of one sort that came or went, in one table. */
export interface RuleChange {
  readonly kind: 'added' | 'deleted'
  readonly subject: RuleSubject
  readonly table: TableReference
  /** Of the chain or the set; empty where it is the table itself. */
  readonly name: string
  /** How many. */
  readonly count: number
}

/** Whose change it was, as the kernel says. */
export interface RuleAuthor {
  readonly pid: number
  readonly program: string
}

/** Where the name of the chain or set stands; that of the table is the first attribute of all of them. */
const nameAttributes = { chain: 3, rule: 2, set: 2, element: 2 } as const

const codecs = {
  table: attributes({ table: [1, zstring] }),
  chain: attributes({ table: [1, zstring], name: [nameAttributes.chain, zstring] }),
  rule: attributes({ table: [1, zstring], name: [nameAttributes.rule, zstring] }),
  set: attributes({ table: [1, zstring], name: [nameAttributes.set, zstring] }),
  element: attributes({ table: [1, zstring], name: [nameAttributes.element, zstring] }),
} as const

const operations = {
  NFT_MSG_NEWTABLE: ['added', 'table'],
  NFT_MSG_DELTABLE: ['deleted', 'table'],
  NFT_MSG_NEWCHAIN: ['added', 'chain'],
  NFT_MSG_DELCHAIN: ['deleted', 'chain'],
  NFT_MSG_NEWRULE: ['added', 'rule'],
  NFT_MSG_DELRULE: ['deleted', 'rule'],
  NFT_MSG_NEWSET: ['added', 'set'],
  NFT_MSG_DELSET: ['deleted', 'set'],
  NFT_MSG_NEWSETELEM: ['added', 'element'],
  NFT_MSG_DELSETELEM: ['deleted', 'element'],
} as const

/** enum nft_gen_attributes */
const generationAttributes = attributes({ id: [1, be32], pid: [2, be32], program: [3, zstring] })

/** Whether it is the one that ends the reports of a commit. */
export function endsCommit(message: ReceivedMessage): boolean {
  return operationOf(message.type) === 'NFT_MSG_NEWGEN'
}

/** Reads which commit it was, and whose, from the message that ends its reports. @throws MalformedMessageError */
export function decodeCommit(message: ReceivedMessage): {
  readonly generation: number
  readonly by: RuleAuthor | undefined
} {
  const { id = 0, pid, program = '' } = generationAttributes.read(readHeader(message.payload).body)
  return { generation: id, by: pid === undefined ? undefined : { pid, program } }
}

/** Reads the report of one change; undefined for sorts of things not known here. @throws MalformedMessageError */
export function decodeChange(message: ReceivedMessage): Omit<RuleChange, 'count'> | undefined {
  const operation = operationOf(message.type)
  if (operation === undefined || !Object.hasOwn(operations, operation)) return undefined
  const [kind, subject] = operations[operation as keyof typeof operations]
  const { family, body } = readHeader(message.payload)
  const read: { readonly table?: string | undefined; readonly name?: string | undefined } = codecs[subject].read(body)
  if (family === undefined) return undefined
  return { kind, subject, table: { family, name: read.table ?? '' }, name: read.name ?? '' }
}
