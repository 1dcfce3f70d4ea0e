import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import {
  addAddress,
  addElements,
  addRoute,
  createLink,
  setBridgePort,
  setLink,
  type NetlinkMessage,
} from '@net/netlink-ffi'
import { libc } from '../../../packages/netlink-ffi/src/libc.ts'
import { NLM_F_ACK, writeMessage } from '../../../packages/netlink-ffi/src/message.ts'
import { batchBegin, batchEnd } from '../../../packages/netlink-ffi/src/nftables/nfnetlink.ts'
import { Writer } from '../../../packages/netlink-ffi/src/writer.ts'

// linux/socket.h, linux/netlink.h, linux/sched.h, linux/mount.h
const AF_NETLINK = 16
const SOCK_RAW = 3
const NETLINK_ROUTE = 0
const NETLINK_NETFILTER = 12
const CLONE_NEWNET = 0x40000000
const MS_BIND = 4096
const MNT_DETACH = 2
const AF_INET6 = 10
const OWN_NAMESPACE = '/proc/thread-self/ns/net'
/** A number that stands for a descriptor not known yet when a message is prepared. */
const FD_PLACEHOLDER = 0x7e57f00d

const answer = new Uint8Array(64 * 1024)

/** A netlink socket and nothing around it: bytes prepared beforehand go out, answers come in. */
export class RawSocket {
  readonly #fd: number

  constructor(protocol: number) {
    this.#fd = libc().socket(AF_NETLINK, SOCK_RAW, protocol)
    const address = new Uint8Array(12)
    address[0] = AF_NETLINK
    if (libc().bind(this.#fd, address, address.length) < 0) throw new Error('bind')
  }

  /** Sends, and waits for the acknowledgement that the last message asks for. */
  exchange(bytes: Uint8Array): void {
    if (libc().send(this.#fd, bytes, bytes.length, 0) < 0) throw new Error(`send: ${libc().errno()}`)
    const length = libc().recv(this.#fd, answer, answer.length, 0)
    const code = new DataView(answer.buffer).getInt32(16, true)
    if (length < 20 || code !== 0) throw new Error(`refused: ${code}`)
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** The bytes of messages, the last one asking for an acknowledgement. */
export function prepare(messages: readonly NetlinkMessage[], acknowledged = messages.length - 1): Uint8Array {
  const writer = new Writer()
  messages.forEach((message, index) => {
    writeMessage(writer, message, index === acknowledged ? NLM_F_ACK : 0, index + 1)
  })
  return writer.written().slice()
}

/** The bytes of a batch of nftables messages. */
export function prepareBatch(messages: readonly NetlinkMessage[]): Uint8Array {
  return prepare([batchBegin(messages, undefined), ...messages, batchEnd], messages.length)
}

export const routeSocket = (): RawSocket => new RawSocket(NETLINK_ROUTE)
export const nftablesSocket = (): RawSocket => new RawSocket(NETLINK_NETFILTER)

/** What one attach needs, as bytes. */
export interface PreparedAttach {
  readonly path: string
  readonly veth: Uint8Array
  readonly fdOffset: number
  readonly alias: Uint8Array
  readonly inside: Uint8Array
  readonly up: Uint8Array
  readonly port: Uint8Array | undefined
  readonly hostPort: number
}

/** Prepares an attach to bridge `master`; the sandbox's first interface has index 2. */
export function prepareAttach(options: {
  readonly path: string
  readonly hostName: string
  readonly master: number
  readonly macAddress: string
  readonly address: string
  readonly address6: string
  readonly gateway: string
  readonly gateway6: string
  readonly port?: { readonly table: string; readonly hostPort: number }
}): PreparedAttach {
  const { hostName: name, master, macAddress, port } = options
  const veth = prepare([
    createLink({ kind: 'veth', name, master, peer: { name: 'eth0', macAddress, namespaceFd: FD_PLACEHOLDER } }),
  ])
  const table = { family: 'inet', name: port?.table ?? '' } as const
  return {
    path: options.path,
    veth,
    fdOffset: Buffer.from(veth).indexOf(Buffer.from(Uint32Array.of(FD_PLACEHOLDER).buffer)),
    alias: prepare([setLink(name, { alias: 'net:floor' })]),
    inside: prepare([
      setLink('lo', { up: true }),
      setLink(2, { up: true }),
      addAddress({ index: 2, address: options.address }),
      addAddress({ index: 2, address: options.address6 }),
      addRoute({ destination: '0.0.0.0/0', gateway: options.gateway }),
      addRoute({ destination: '::/0', gateway: options.gateway6 }),
    ]),
    up: prepare([setLink(name, { up: true })]),
    port: port === undefined ? undefined : preparePublish(table.name, port.hostPort, options.address, options.address6),
    hostPort: port?.hostPort ?? 0,
  }
}

/** The two map elements (one a family) that a published port is. */
export function preparePublish(table: string, hostPort: number, address: string, address6: string): Uint8Array {
  const plain = (cidr: string): string => cidr.slice(0, cidr.indexOf('/'))
  const reference = { family: 'inet', name: table } as const
  return prepareBatch(
    (
      [
        ['ports4', 'ipv4_addr', address],
        ['ports6', 'ipv6_addr', address6],
      ] as const
    ).flatMap(([name, type, cidr]) =>
      addElements({ table: reference, name, key: ['inet_proto', 'inet_service'], data: [type, 'inet_service'] }, [
        { key: [6, hostPort], data: [plain(cidr), 80] },
      ]),
    ),
  )
}

/** The kernel's work of one attach, and no more. Returns the descriptor that holds the port, if any. */
export function attach(prepared: PreparedAttach, route: RawSocket, nftables: RawSocket): number | undefined {
  const { path, veth } = prepared
  writeFileSync(path, '', { flag: 'wx' })
  const home = openSync(OWN_NAMESPACE, 'r')
  libc().unshare(CLONE_NEWNET)
  libc().mount(OWN_NAMESPACE, path, 'none', MS_BIND)
  const inside = routeSocket()
  libc().setns(home, CLONE_NEWNET)

  const fd = openSync(path, 'r')
  new DataView(veth.buffer, veth.byteOffset).setUint32(prepared.fdOffset, fd, true)
  route.exchange(veth)
  route.exchange(prepared.alias)

  libc().setns(fd, CLONE_NEWNET)
  readFileSync('/proc/sys/net/ipv6/conf/eth0/disable_ipv6')
  writeFileSync('/proc/sys/net/ipv6/conf/eth0/accept_ra', '0')
  libc().setns(home, CLONE_NEWNET)
  closeSync(fd)
  closeSync(home)

  inside.exchange(prepared.inside)
  inside.close()
  route.exchange(prepared.up)
  if (prepared.port === undefined) return undefined
  const held = holdPort(prepared.hostPort)
  nftables.exchange(prepared.port)
  return held
}

/** Binds a TCP port of both families. */
export function holdPort(port: number): number {
  const held = libc().socket(AF_INET6, 1, 6)
  const address = new Uint8Array(28)
  address[0] = AF_INET6
  new DataView(address.buffer).setUint16(2, port)
  if (libc().bind(held, address, address.length) < 0) throw new Error('bind')
  return held
}

/** The kernel's work of one detach: the port goes off its bridge, the namespace goes. */
export function detach(path: string, mute: Uint8Array, route: RawSocket): void {
  route.exchange(mute)
  libc().umount2(path, MNT_DETACH)
  rmSync(path)
}

export const prepareMute = (index: number): Uint8Array => prepare([setBridgePort(index, { state: 'disabled' })])
