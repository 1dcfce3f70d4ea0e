import type { AddressFamily, CallOptions } from '@net/types'
import { isErrno } from '../errors.ts'
import type { NetlinkMessage } from '../message.ts'
import { NetlinkSocket, type NetlinkSocketOptions } from '../netlink-socket.ts'
import { NETLINK_NETFILTER } from '../nfnetlink-header.ts'
import {
  countFlows,
  decodeCount,
  decodeFlow,
  deleteFlow,
  deleteFlowsBy,
  kernelCanFilter,
  listFlows,
  listFlowsBy,
  type Flow,
  type FlowFilter,
} from './flow.ts'
import { flowMatcher } from './flow-matcher.ts'

/** What kernels say that track no flows, or that cannot look for those of a filter. */
const CANNOT = ['EINVAL', 'EOPNOTSUPP', 'EPROTONOSUPPORT', 'EAFNOSUPPORT'] as const
/** So many walks through the kernel's table cost more than a list of what is in it. */
const MANY = 64
/** So many lists of some flows each cost less than one of all. */
const FEW = 8
/** Flows deleted in one exchange: refusals of all have to fit into the socket's buffer. */
const BATCH = 256

/**
 * The flows that the kernel tracks in the namespace it was opened in. Where it tracks none, because it was
 * built without or nothing asked for it yet, there are none.
 */
export class ConntrackSocket {
  /** Absent where the kernel lacks netfilter. */
  readonly #socket: NetlinkSocket | undefined

  private constructor(socket: NetlinkSocket | undefined) {
    this.#socket = socket
  }

  /** Opens it in the calling thread's namespace, where it stays. */
  static open(options: Pick<NetlinkSocketOptions, 'logger'> = {}): ConntrackSocket {
    try {
      return new ConntrackSocket(NetlinkSocket.open(NETLINK_NETFILTER, options))
    } catch (error) {
      if (!isErrno(error, ...CANNOT)) throw error
      return new ConntrackSocket(undefined)
    }
  }

  /** How many flows there are, of both families. @throws NetlinkError (`ERR_NETLINK`) */
  async count(call?: CallOptions): Promise<number> {
    const result = await this.#socket?.requestOffLoop([countFlows], call)
    const error = result?.errors[0]?.error
    if (error !== undefined && !isErrno(error, ...CANNOT)) throw error
    return result?.replies[0] === undefined ? 0 : decodeCount(result.replies[0])
  }

  /** Every flow of a family. @throws NetlinkError (`ERR_NETLINK`) */
  async list(family: AddressFamily, call?: CallOptions): Promise<Flow[]> {
    if (this.#socket === undefined || (await this.count(call)) === 0) return []
    return this.#socket.dumpOffLoop(listFlows(family), decodeFlow, call)
  }

  /**
   * Deletes every flow that passes one of `filters`, while the event loop goes on. The kernel walks its whole table
   * for each filter. For many filters, and where it cannot (before Linux 6.8, for IPv6 addresses and for ranges of
   * ports), the flows of the family are listed: those that pass the rest of the filter, or, for many, all of them, once.
   *
   * @throws NetlinkError (`ERR_NETLINK`), ValueOutOfRangeError (`ERR_VALUE_OUT_OF_RANGE`) for a filter that says nothing
   */
  async deleteBy(filters: readonly FlowFilter[], call?: CallOptions): Promise<void> {
    if (this.#socket === undefined || filters.length === 0 || (await this.count(call)) === 0) return
    const forKernel = filters.length > MANY ? [] : filters.filter(kernelCanFilter)
    const left = [
      ...filters.filter((filter) => !forKernel.includes(filter)),
      ...(await this.#deleteInKernel(this.#socket, forKernel, call)),
    ]
    for (const family of [4, 6] as const) {
      const wanted = left.filter((filter) => filter.family === family)
      if (wanted.length > 0) await this.#deleteListed(this.#socket, family, wanted, call)
    }
  }

  /** Safe to call twice. */
  close(): void {
    this.#socket?.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Returns the filters that the kernel has no way to look for. */
  async #deleteInKernel(
    socket: NetlinkSocket,
    filters: readonly FlowFilter[],
    call?: CallOptions,
  ): Promise<FlowFilter[]> {
    const { errors } = await socket.requestOffLoop(filters.map(deleteFlowsBy), call)
    for (const { error } of errors) if (!isErrno(error, ...CANNOT)) throw error
    return errors.flatMap(({ index }) => filters[index] ?? [])
  }

  async #deleteListed(
    socket: NetlinkSocket,
    family: AddressFamily,
    filters: readonly FlowFilter[],
    call?: CallOptions,
  ): Promise<void> {
    const lists = filters.length <= FEW ? filters.map(listFlowsBy) : [listFlows(family)]
    const passes = flowMatcher(filters)
    const messages: NetlinkMessage[] = []
    for (const list of lists) {
      const flows = await socket.dumpOffLoop(list, decodeFlow, call)
      messages.push(...flows.filter(passes).map(deleteFlow))
    }
    for (let at = 0; at < messages.length; at += BATCH) {
      const { errors } = await socket.requestOffLoop(messages.slice(at, at + BATCH), call)
      // Over meanwhile.
      for (const { error } of errors) if (!isErrno(error, 'ENOENT')) throw error
    }
  }
}
