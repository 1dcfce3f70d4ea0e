import { attributes, be32, be64, bytes, zstring } from '../attributes.ts'
import { NLM_F_CREATE, NLM_F_EXCL, type NetlinkMessage, type ReceivedMessage } from '../message.ts'
import { operationMessage, readHeader, type TableReference } from './nfnetlink.ts'
import { describeTable } from './table.ts'
import { commentOf, commentUserdata } from './userdata.ts'

/** enum nft_hook_attributes */
const hookAttributes = attributes({ number: [1, be32], priority: [2, be32] })

/** enum nft_chain_attributes; userdata since 5.10. */
const chainAttributes = attributes({
  table: [1, zstring],
  handle: [2, be64],
  name: [3, zstring],
  hook: [4, hookAttributes],
  policy: [5, be32],
  type: [7, zstring],
  userdata: [12, bytes],
})

/** NF_INET_*, linux/netfilter.h */
const hookNumbers = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const
const hookNames = new Map(Object.entries(hookNumbers).map(([name, number]) => [number as number, name as NftHook]))
/** NF_DROP, NF_ACCEPT, linux/netfilter.h */
const policyNumbers = { drop: 0, accept: 1 } as const

/** Where packets come past a chain. */
export type NftHook = keyof typeof hookNumbers

/** What makes a chain one that packets come to by themselves. */
export interface BaseChain {
  readonly type: 'filter' | 'nat' | 'route'
  readonly hook: NftHook
  /** Chains of a hook are asked in the order of their priorities. */
  readonly priority: number
  /** What becomes of packets that reach its end. */
  readonly policy: keyof typeof policyNumbers
}

/** Names a chain. */
export interface ChainReference {
  readonly table: TableReference
  readonly name: string
}

/** A chain to be made. */
export interface NewChain extends ChainReference {
  /** Absent: a regular chain, which only jumps lead to. */
  readonly base?: BaseChain | undefined
  readonly comment?: string | undefined
}

/** A chain as the kernel reports it. */
export interface NftChain extends ChainReference {
  readonly handle: bigint
  readonly base:
    | {
        readonly type: string
        readonly hook: NftHook | undefined
        readonly priority: number
        readonly policy: 'drop' | 'accept'
      }
    | undefined
  readonly comment: string | undefined
}

/** NFT_MSG_NEWCHAIN. EEXIST when the name is taken, ENOENT when the kernel lacks the type. */
export function addChain(chain: NewChain): NetlinkMessage {
  const { table, name, base } = chain
  const userdata = commentUserdata(chain.comment)
  return operationMessage({
    operation: 'NFT_MSG_NEWCHAIN',
    flags: NLM_F_CREATE | NLM_F_EXCL,
    family: table.family,
    about: `${describeChain(chain)}${base === undefined ? '' : ` (${base.type} hook ${base.hook})`}`,
    write: (writer) => {
      chainAttributes.write(writer, {
        table: table.name,
        name,
        hook: base && { number: hookNumbers[base.hook], priority: base.priority >>> 0 },
        policy: base && policyNumbers[base.policy],
        type: base?.type,
        userdata,
      })
    },
  })
}

/** NFT_MSG_DELCHAIN. ENOENT when there is none, EBUSY while it has rules or is jumped to. */
export function deleteChain(chain: ChainReference): NetlinkMessage {
  return operationMessage({
    operation: 'NFT_MSG_DELCHAIN',
    family: chain.table.family,
    about: describeChain(chain),
    write: (writer) => {
      chainAttributes.write(writer, { table: chain.table.name, name: chain.name })
    },
  })
}

/** NFT_MSG_GETCHAIN, to be dumped: every chain of the namespace. */
export const listChains: NetlinkMessage = operationMessage({
  operation: 'NFT_MSG_GETCHAIN',
  about: 'dump',
  write: () => undefined,
})

/** Reads an NFT_MSG_NEWCHAIN; undefined for a family not known here. @throws MalformedMessageError */
export function decodeChain(message: ReceivedMessage): NftChain | undefined {
  const { family, body } = readHeader(message.payload)
  const { table = '', name = '', handle = 0n, type, hook, policy, userdata } = chainAttributes.read(body)
  if (family === undefined) return undefined
  return {
    table: { family, name: table },
    name,
    handle,
    base: hook && {
      type: type ?? '',
      hook: hook.number === undefined ? undefined : hookNames.get(hook.number),
      priority: (hook.priority ?? 0) | 0,
      policy: policy === policyNumbers.drop ? 'drop' : 'accept',
    },
    comment: commentOf(userdata),
  }
}

/** `inet net forward`, as `nft` writes it. */
export function describeChain(chain: ChainReference): string {
  return `${describeTable(chain.table)} ${chain.name}`
}
