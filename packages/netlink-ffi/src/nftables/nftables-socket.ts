import { attributes, be32 } from '../attributes.ts'
import { BatchTooLargeError, DumpInterruptedError, isErrno, MalformedMessageError } from '../errors.ts'
import type { NetlinkMessage, ReceivedMessage } from '../message.ts'
import { NetlinkSocket, type NetlinkSocketOptions } from '../netlink-socket.ts'
import { NETLINK_NETFILTER } from '../nfnetlink-header.ts'
import { decodeChain, listChains, type NftChain } from './chain.ts'
import { decodeElements, listElements, type NftElementReport } from './element.ts'
import {
  batchBegin,
  batchEnd,
  operationMessage,
  readHeader,
  type TableFamily,
  type TableReference,
} from './nfnetlink.ts'
import { decodeRule, listRules, type NftRule } from './rule.ts'
import { decodeSet, getSet, listSets, type NftSet, type NftSetReport } from './set.ts'
import { decodeTable, getTable, listTables, type NftTable } from './table.ts'

/** A batch travels in one piece: room for about 50 000 elements. */
const BUFFER_BYTES = 8 * 1024 * 1024
/** The kernel takes milliseconds to rearrange a set, and a list of it takes as long. */
const LIST_ATTEMPTS = 50

/** enum nft_gen_attributes */
const generationAttributes = attributes({ id: [1, be32] })

/** How a socket for nf_tables is opened. */
export type NftablesSocketOptions = Pick<NetlinkSocketOptions, 'logger' | 'bufferBytes'>

/** How a batch is carried out. */
export interface CommitOptions {
  /** Refuse the batch (ERESTART) when any rule of the namespace has changed since {@link NftablesSocket.generation} said this. */
  readonly generation?: number | undefined
}

/** The nf_tables of the namespace it was opened in: tables, chains, rules, sets and their elements. */
export class NftablesSocket {
  readonly #socket: NetlinkSocket

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket
  }

  /**
   * Opens it in the calling thread's namespace, where it stays.
   *
   * @throws SystemCallError (`ERR_SYSTEM_CALL`): EPROTONOSUPPORT when the kernel lacks netfilter
   */
  static open(options: NftablesSocketOptions = {}): NftablesSocket {
    return new NftablesSocket(NetlinkSocket.open(NETLINK_NETFILTER, { bufferBytes: BUFFER_BYTES, ...options }))
  }

  /**
   * Carries out all messages as one: packets see all of the change or none of it, and a refusal of
   * one message leaves everything as it was.
   *
   * @throws NetlinkError (`ERR_NETLINK`): the first refusal
   * @throws BatchTooLargeError (`ERR_BATCH_TOO_LARGE`) when the socket's buffer is too small for it; nothing was sent
   */
  commit(messages: readonly NetlinkMessage[], options: CommitOptions = {}): void {
    if (messages.length === 0) return
    const batch = [batchBegin(messages, options.generation), ...messages, batchEnd]
    // Older kernels never acknowledge the end of a batch, so its last message is what is waited for.
    const { errors } = this.#exchange(batch, messages.length)
    if (errors[0] !== undefined) throw errors[0].error
  }

  /** The netlink port of its socket: changes that it makes are reported under it. */
  get port(): number {
    return this.#socket.port
  }

  /** A number that changes with every change of rules in the namespace. */
  generation(): number {
    const [reply] = this.#socket.request(getGeneration)
    const id = reply === undefined ? undefined : generationAttributes.read(readHeader(reply.payload).body).id
    if (id === undefined) throw new MalformedMessageError('generation missing', 0)
    return id
  }

  /** The table named, or undefined where there is none. */
  findTable(table: TableReference): NftTable | undefined {
    try {
      const [reply] = this.#socket.request(getTable(table))
      return reply === undefined ? undefined : decodeTable(reply)
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined
      throw error
    }
  }

  listTables(): NftTable[] {
    return this.#socket.dump(listTables, decodeTable)
  }

  /** The chains of a table, or of all. */
  listChains(table?: TableReference): NftChain[] {
    const chains = this.#socket.dump(listChains, decodeChain)
    return table === undefined ? chains : chains.filter((chain) => isSame(chain.table, table))
  }

  /** The rules of a table, or of one of its chains, in their order. */
  listRules(table: TableReference, chain?: string): NftRule[] {
    return this.#socket.dump(listRules(table, chain), decodeRule)
  }

  listSets(table: TableReference): NftSetReport[] {
    return this.#socket.dump(listSets(table), decodeSet)
  }

  /**
   * What a set holds, in no order.
   *
   * @throws NetlinkError (`ERR_NETLINK`) with ENOENT when there is none, DumpInterruptedError (`ERR_DUMP_INTERRUPTED`)
   *   when the set changed all the time, NotImplementedError (`ERR_NOT_IMPLEMENTED`) for a catch-all element
   */
  listElements(set: NftSet): NftElementReport[] {
    let before: readonly string[] = []
    for (let attempt = 0; attempt < LIST_ATTEMPTS; attempt++) {
      const generation = this.generation()
      const elements = new Map(this.#dumpElements(set).map((element) => [keyOf(element), element]))
      const keys = [...elements.keys()].sort()
      const isWhole = this.#isWhole(set, elements.size) ?? isAlike(keys, before)
      if (isWhole && generation === this.generation()) return [...elements.values()]
      before = keys
    }
    throw new DumpInterruptedError(listElements(set).describe(), LIST_ATTEMPTS)
  }

  /** Safe to call twice. */
  close(): void {
    this.#socket.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #dumpElements(set: NftSet): NftElementReport[] {
    return this.#socket.dump(listElements(set), (message: ReceivedMessage) => decodeElements(set, message)).flat()
  }

  /**
   * After a commit of thousands of elements the kernel rearranges its hash table for a while. A list read
   * meanwhile can lack some or have them twice, which the kernel does not say. Undefined where nothing tells:
   * older kernels do not count, and of ranges they count ends as well.
   */
  #isWhole(set: NftSet, found: number): boolean | undefined {
    if (set.interval === true) return undefined
    const [reply] = this.#socket.request(getSet(set))
    const count = reply === undefined ? undefined : decodeSet(reply)?.count
    return count === undefined ? undefined : count === found
  }

  #exchange(batch: readonly NetlinkMessage[], acknowledged: number): ReturnType<NetlinkSocket['exchange']> {
    try {
      return this.#socket.exchange(batch, acknowledged)
    } catch (error) {
      if (isErrno(error, 'EMSGSIZE')) throw new BatchTooLargeError(batch[0]?.describe() ?? '')
      throw error
    }
  }
}

/** NFT_MSG_GETGEN */
const getGeneration = operationMessage({ operation: 'NFT_MSG_GETGEN', about: '', write: () => undefined })

/** What tells an element from the others: where one range ends another can begin. */
function keyOf({ key, keyEnd, isIntervalEnd }: NftElementReport): string {
  return JSON.stringify([key, keyEnd, isIntervalEnd])
}

function isAlike(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((key, at) => key === other[at])
}

function isSame(one: { family: TableFamily; name: string }, other: TableReference): boolean {
  return one.family === other.family && one.name === other.name
}
