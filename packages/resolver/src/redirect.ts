import {
  addChain,
  addRule,
  addTable,
  deleteTable,
  deleteTableOffLoop,
  encodedOnce,
  inNamespaceAt,
  nftExpression,
  NftablesSocket,
  type BaseChain,
  type NetlinkMessage,
  type NftTable,
} from '@net/netlink-ffi'
import { addressToBytes, parseAddress, protocolNumbers } from '@net/types'
import type { Listening, Ports, UsualPorts } from './usual-ports.ts'

const DNS_PORT = 53
const table = { family: 'ip', name: 'net-resolver' } as const
/** Before connection tracking (-200), so that it, where something switched it on, sees one port of each socket. */
const RAW_PRIORITY = -300

/** The packet rules of a resolver in one namespace, as they were found when this was opened. */
export class RedirectRules implements Disposable {
  readonly #nftables: NftablesSocket
  readonly #before: NftTable | undefined

  private constructor(nftables: NftablesSocket) {
    this.#nftables = nftables
    this.#before = nftables.findTable(table)
  }

  /** Those of the calling thread's namespace, if there are any. */
  static open(): RedirectRules {
    // A few rules: buffers for tens of thousands are not needed.
    const nftables = NftablesSocket.open({ bufferBytes: 0 })
    try {
      return new RedirectRules(nftables)
    } catch (error) {
      nftables.close()
      throw error
    }
  }

  /** Where the rules lead that a process which died, or let go, left there for the address. */
  portsFor(address: string): Ports | undefined {
    const [, at, udpPort, tcpPort] = COMMENT.exec(this.#before?.comment ?? '') ?? []
    return at === address ? { udpPort: Number(udpPort), tcpPort: Number(tcpPort) } : undefined
  }

  /**
   * Leads questions for port 53 of the address to the ports the sockets got, and the answers back. No connection is
   * tracked for that. What a process that died left is replaced.
   *
   * @throws NetlinkError (`ERR_NETLINK`): EPERM without CAP_NET_ADMIN
   */
  leadTo(listening: Listening, usual: UsualPorts): void {
    // Taking rules away makes the kernel wait: those that lead to these very ports stay.
    if (this.#before?.comment === commentOf(listening)) return
    const removal = this.#before === undefined ? [] : [deleteTable(table)]
    this.#nftables.commit([...removal, ...usual.rulesFor(listening, redirectRules)])
  }

  [Symbol.dispose](): void {
    this.#nftables.close()
  }
}

const COMMENT = /^embedded DNS (\S+) udp (\d+) tcp (\d+)$/

/** The table's comment says where its rules lead. */
function commentOf({ address, udpPort, tcpPort }: Listening): string {
  return `embedded DNS ${address} udp ${udpPort} tcp ${tcpPort}`
}

/**
 * Takes away what {@link RedirectRules} made; what is gone already is no error. The result waits, off the event
 * loop, until the kernel is done with it: call it outside the namespace.
 */
export function removeRedirect(): () => Promise<void> {
  return deleteTableOffLoop(table)
}

/**
 * Takes away what the resolver of a process that died left in the namespace at `path`, which lives on without us. What
 * is not there is no error.
 */
export async function removeLeftRules(path: string): Promise<void> {
  await inNamespaceAt(path, removeRedirect)()
}

function redirectRules(listening: Listening): NetlinkMessage[] {
  const { address, udpPort, tcpPort } = listening
  const out = { table, name: 'questions' }
  const back = { table, name: 'answers' }
  const own = addressToBytes(parseAddress(address))
  const ports = [
    ['udp', udpPort],
    ['tcp', tcpPort],
  ] as const
  const messages = [
    addTable({ ...table, comment: commentOf(listening) }),
    addChain({ ...out, base: baseChain('output') }),
    addChain({ ...back, base: baseChain('input') }),
    ...ports.flatMap(([protocol, port]) => [
      addRule({
        chain: out,
        expressions: [
          ...[...isProtocol(protocol), ...holds('ip daddr', own), ...holds('th dport', portBytes(DNS_PORT))],
          ...[nftExpression.load(portBytes(port)), nftExpression.setPort(protocol, 'th dport')],
        ],
      }),
      addRule({
        chain: back,
        expressions: [
          ...[...isProtocol(protocol), ...holds('ip saddr', own), ...holds('th sport', portBytes(port))],
          ...[nftExpression.load(portBytes(DNS_PORT)), nftExpression.setPort(protocol, 'th sport')],
        ],
      }),
    ]),
  ]
  return messages.map(encodedOnce)
}

function baseChain(hook: 'input' | 'output'): BaseChain {
  return { type: 'filter', hook, priority: RAW_PRIORITY, policy: 'accept' }
}

function isProtocol(protocol: 'udp' | 'tcp'): ReturnType<typeof nftExpression.meta>[] {
  return [nftExpression.meta('l4proto'), nftExpression.cmp('eq', Uint8Array.of(protocolNumbers[protocol]))]
}

function holds(
  field: Parameters<typeof nftExpression.payload>[0],
  value: Uint8Array,
): ReturnType<typeof nftExpression.payload>[] {
  return [nftExpression.payload(field), nftExpression.cmp('eq', value)]
}

function portBytes(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 0xff)
}
