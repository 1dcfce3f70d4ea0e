import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import {
  addAddress,
  addRoute,
  createNamespace,
  deleteNamespace,
  inNamespaceAt,
  RouteSocket,
  setBridgePort,
  setLink,
} from '@net/netlink-ffi'
import { ipIn } from '@net/netlink-ffi/testing'
import { randomId, type Protocol } from '@net/types'

/** Long enough for an answer on a busy machine. */
const ANSWER_MS = 10_000
/** Long enough for a packet to get through where nothing stops it. */
const SILENCE_MS = 400

/** What a container, or a machine outside, is in the lab. */
interface Place {
  readonly name: string
  /** Bridge it is on; absent for the machine outside, which has a link to the host. */
  readonly bridge?: string
  /** The part of addresses that tells networks apart, and that of the place in its network. */
  readonly network: number
  readonly host: number
}

const places = [
  { name: 'web', bridge: 'br-a', network: 1, host: 2 },
  { name: 'peer', bridge: 'br-a', network: 1, host: 3 },
  { name: 'other', bridge: 'br-b', network: 2, host: 2 },
  { name: 'inner', bridge: 'br-i', network: 3, host: 2 },
  { name: 'outside', network: 9, host: 2 },
  { name: 'beyond', network: 8, host: 2 },
] as const satisfies readonly Place[]

/** Where somebody can ask from. */
export type PlaceName = (typeof places)[number]['name'] | 'host'

/** Whom to ask, and how. */
export interface Question {
  readonly protocol: Protocol
  readonly address: string
  readonly port: number
  /** Over UDP: the port to ask from. @defaultValue any */
  readonly from?: number
}

/** The host's addresses: on the link to the outside and on the bridges. */
export const hostAddress = { 4: '10.0.9.1', 6: 'fd00:0:0:9::1' } as const

/** The address of a place. */
export function addressOf(name: Exclude<PlaceName, 'host'>, family: 4 | 6): string {
  const { network, host } = places.find((place) => place.name === name)!
  return family === 4 ? `10.0.${network}.${host}` : `fd00:0:0:${network}::${host}`
}

/**
 * A host (the namespace of the test's process) with three bridges, containers on them and a
 * machines outside, on both sides of the host, that route to all of it by way of the host. Everybody answers on port 80, and
 * the host on 81, over TCP and UDP, IPv4 and IPv6.
 */
export class Lab {
  readonly #folder: string
  readonly #agents: ReadonlyMap<PlaceName, Agent>
  readonly #forgers = new Set<PlaceName>()

  private constructor(folder: string, agents: ReadonlyMap<PlaceName, Agent>) {
    this.#folder = folder
    this.#agents = agents
  }

  static async open(): Promise<Lab> {
    skipAddressDetection()
    const folder = `/run/net/test-${randomId().slice(0, 12)}`
    mkdirSync(folder, { recursive: true })
    using route = RouteSocket.open()
    for (const [index, bridge] of (['br-a', 'br-b', 'br-i'] as const).entries()) {
      const link = route.createLink({ kind: 'bridge', name: bridge, up: true })
      giveAddresses(route, link.index, index + 1, 1)
      writeFileSync(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, '1')
    }
    for (const place of places) attach(route, folder, place)
    writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
    writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1')

    const agents = new Map<PlaceName, Agent>([['host', Agent.start('host', 81)]])
    for (const { name } of places) {
      agents.set(
        name,
        inNamespaceAt(`${folder}/${name}`, () => Agent.start(name, 80)),
      )
    }
    await Promise.all([...agents.values()].map((agent) => agent.ready))
    return new Lab(folder, agents)
  }

  /** What is answered: who answers, and whom he takes the question to be from. */
  async ask(from: PlaceName, question: Question): Promise<string> {
    const { text, error } = await this.#agents.get(from)!.ask(question, ANSWER_MS)
    if (text === undefined) throw new Error(`${from} asks ${question.address}:${question.port}: ${error ?? ''}`)
    return text
  }

  /** The same, where no answer is expected: why there was none. */
  async askInVain(from: PlaceName, question: Question): Promise<string> {
    const { text, error } = await this.#agents.get(from)!.ask(question, SILENCE_MS)
    if (text !== undefined) throw new Error(`${from} asks ${question.address}:${question.port}, and ${text}`)
    return error ?? ''
  }

  /** Has a place answer on more ports: with its name and the port. */
  async listen(name: PlaceName, ports: readonly number[]): Promise<void> {
    await this.#agents.get(name)!.ask({ listen: ports }, ANSWER_MS)
  }

  /** Whether frames that stay on a bridge pass the packet rules, as hosts of Docker and Kubernetes have it. */
  filterBridges(on: boolean): void {
    for (const family of ['ip', 'ip6']) {
      writeFileSync(`/proc/sys/net/bridge/bridge-nf-call-${family}tables`, on ? '1' : '0')
    }
  }

  /** Puts the bridge of a place into the group that another controller's networks are in, or takes it out. */
  joinGroup(bridge: string, group: number): void {
    using route = RouteSocket.open()
    route.apply(setLink(route.getLink(bridge).index, { group }))
  }

  /** Has a place send packets for 127.0.0.2 to the host, as only somebody with bad intentions does. */
  routeLoopbackToHost(name: Exclude<PlaceName, 'host'>): void {
    if (this.#forgers.has(name)) return
    this.#forgers.add(name)
    const path = `${this.#folder}/${name}`
    inNamespaceAt(path, () => {
      writeFileSync('/proc/sys/net/ipv4/conf/eth0/route_localnet', '1')
    })
    const { network } = places.find((place) => place.name === name)!
    ipIn(path, 'route', 'delete', 'local', '127.0.0.0/8', 'dev', 'lo', 'table', 'local')
    ipIn(path, 'route', 'add', '127.0.0.2', 'via', `10.0.${network}.1`, 'dev', 'eth0')
  }

  /** Whether an echo request is answered. */
  ping(from: Exclude<PlaceName, 'host'>, address: string): boolean {
    const path = `${this.#folder}/${from}`
    const args = ['-c', '1', '-W', '1', address]
    return inNamespaceAt(path, () => spawnSync('ping', args, { stdio: 'ignore' }).status === 0)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.stop()))
    for (const { name } of places) deleteNamespace(`${this.#folder}/${name}`)
    rmSync(this.#folder, { recursive: true })
  }
}

/** A veth from the host into a namespace of the place's own. */
function attach(route: RouteSocket, folder: string, place: Place): void {
  const { name, network, host } = place
  const path = `${folder}/${name}`
  const inside = createNamespace(path, () => {
    skipAddressDetection()
    return RouteSocket.open()
  })
  try {
    const master = place.bridge === undefined ? undefined : route.getLink(place.bridge).index
    const near = withDescriptor(path, (namespaceFd) =>
      route.createLink({ kind: 'veth', name: `to-${name}`, master, up: true, peer: { name: 'eth0', namespaceFd } }),
    )
    // What a container sends to itself by way of the host goes back out of the port it came in by.
    if (master !== undefined) route.apply(setBridgePort(near.index, { hairpin: true }))
    if (master === undefined) giveAddresses(route, near.index, network, 1)
    const { index } = inside.getLink('eth0')
    inside.apply(setLink('lo', { up: true }), setLink(index, { up: true }))
    giveAddresses(inside, index, network, host)
    inside.apply(
      addRoute({ destination: '0.0.0.0/0', gateway: `10.0.${network}.1` }),
      addRoute({ destination: '::/0', gateway: `fd00:0:0:${network}::1` }),
    )
  } finally {
    inside.close()
  }
}

/** Link-local addresses are usable at once, on the links made from now on. */
function skipAddressDetection(): void {
  writeFileSync('/proc/sys/net/ipv6/conf/default/accept_dad', '0')
}

function withDescriptor<T>(path: string, work: (fd: number) => T): T {
  const fd = openSync(path, 'r')
  try {
    return work(fd)
  } finally {
    closeSync(fd)
  }
}

function giveAddresses(route: RouteSocket, index: number, network: number, host: number): void {
  route.apply(
    addAddress({ index, address: `10.0.${network}.${host}/24` }),
    addAddress({ index, address: `fd00:0:0:${network}::${host}/64` }),
  )
}

interface Answer {
  readonly text?: string
  readonly error?: string
}

/** The process of one place. */
class Agent {
  readonly ready: Promise<void>
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #questions = 0

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child
    const lines = createInterface({ input: child.stdout })
    this.ready = new Promise((resolve) => {
      lines.once('line', () => {
        lines.on('line', (line) => {
          this.#receive(line)
        })
        resolve()
      })
    })
  }

  /** Synchronous: it is started inside the namespace that the thread is in. */
  static start(name: string, port: number): Agent {
    const script = fileURLToPath(new URL('agent.mjs', import.meta.url))
    const args = [script, name, String(port)]
    return new Agent(spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] }))
  }

  ask(question: Question | { readonly listen: readonly number[] }, waitMs: number): Promise<Answer> {
    const id = this.#questions++
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve))
    this.#child.stdin.write(`${JSON.stringify({ id, ...question, waitMs })}\n`)
    return answer
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.stdin.end()
    await exited
  }

  #receive(line: string): void {
    const { id, ...answer } = JSON.parse(line) as Answer & { id: number }
    this.#waiting.get(id)?.(answer)
    this.#waiting.delete(id)
  }
}
