import type { ChildProcess } from 'node:child_process'
import { spawn, spawnSync } from 'node:child_process'
import { once, type EventEmitter } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import {
  addAddress,
  addRoute,
  createNamespace,
  deleteNamespace,
  inNamespaceAt,
  RouteSocket,
  setLink,
} from '@net/netlink-ffi'
import { nftRuleset } from '@net/netlink-ffi/testing'
import { randomId } from '@net/types'
import type { Endpoint, Sandbox } from '../src/index.ts'

/** Long enough for a packet to get through, and to be sent once more, where nothing stops it. */
const SILENCE_MS = 1_200

/** The host's address towards the machines outside, and theirs. */
export const hostAddress = { 4: '192.0.2.1', 6: '2001:db8::1' } as const
export const outsideAddress = { 4: '192.0.2.2', 6: '2001:db8::2' } as const

/** A process of a sandbox, or of the host. */
type Running = Pick<ChildProcess, 'stdin' | 'stdout' | 'exitCode'> & EventEmitter

/** Somebody who asks and answers: a process in a namespace of its own, or on the host. */
export class Place {
  readonly #child: Running
  readonly #waiting = new Map<number, (answer: { text?: string; error?: string }) => void>()
  #questions = 0

  private constructor(child: Running) {
    this.#child = child
  }

  /** Starts the process by `start`, which is given the command; it answers as `name` on `ports`. */
  static async open(
    name: string,
    ports: readonly number[],
    start: (command: string, args: string[], options: { stdio: ['pipe', 'pipe', 'inherit'] }) => Running,
  ): Promise<Place> {
    const script = fileURLToPath(new URL('agent.mjs', import.meta.url))
    const child = start(process.execPath, [script, name, ...ports.map(String)], { stdio: ['pipe', 'pipe', 'inherit'] })
    const place = new Place(child)
    if (child.stdout === null) throw new Error('no output to wait for')
    const lines = createInterface({ input: child.stdout })
    await once(lines, 'line')
    lines.on('line', (line) => {
      const { id, ...answer } = JSON.parse(line) as { id: number; text?: string; error?: string }
      place.#waiting.get(id)?.(answer)
    })
    return place
  }

  /** What is answered at `address`, such as `web sees 10.0.1.1`, or why nothing is. */
  async ask(address: string, port: number, waitMs = SILENCE_MS): Promise<string> {
    const id = this.#questions++
    const answer = new Promise<{ text?: string; error?: string }>((resolve) => this.#waiting.set(id, resolve))
    this.#child.stdin?.write(`${JSON.stringify({ id, address, port, waitMs })}\n`)
    const { text, error } = await answer
    return text ?? error ?? ''
  }

  /** Whether somebody answers at `address`. */
  async reaches(address: string, port: number, waitMs?: number): Promise<boolean> {
    return (await this.ask(address, port, waitMs)).includes(' sees ')
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.stdin?.end()
    await exited
  }
}

/** Starts a place in the sandbox of `endpoint`: it answers on port 80, and on 81 which nobody publishes. */
export function placeIn(sandbox: Sandbox, name: string): Promise<Place> {
  return Place.open(name, [80, 81], (...args) => sandbox.spawn(...args))
}

/** The same in the namespace at `key`: it outlives the controller. */
export function placeAt(key: string, name: string): Promise<Place> {
  return Place.open(name, [80, 81], (...args) => inNamespaceAt(key, () => spawn(...args)))
}

/** Starts a place on the host, without ports. */
export function placeOnHost(): Promise<Place> {
  return Place.open('host', [], spawn)
}

/** A machine outside, on a link of its own to the host, which it takes for its router. */
export class Outside {
  readonly #path: string
  readonly #link: string
  readonly place: Place

  private constructor(path: string, link: string, place: Place) {
    this.#path = path
    this.#link = link
    this.place = place
  }

  /** `link` is what the host calls its end; networks of several machines must differ by `network`. */
  static async open(link = 'to-outside'): Promise<Outside> {
    const path = `/run/net-outside-${randomId().slice(0, 12)}`
    const noDetection = (): void => {
      writeFileSync('/proc/sys/net/ipv6/conf/default/accept_dad', '0')
    }
    noDetection()
    using inside = createNamespace(path, () => {
      noDetection()
      return RouteSocket.open()
    })
    using host = RouteSocket.open()
    const namespaceFd = openSync(path, 'r')
    const near = host.createLink({ kind: 'veth', name: link, up: true, peer: { name: 'eth0', namespaceFd } })
    closeSync(namespaceFd)
    const far = inside.getLink('eth0')
    host.apply(
      addAddress({ index: near.index, address: `${hostAddress[4]}/24` }),
      addAddress({ index: near.index, address: `${hostAddress[6]}/64` }),
    )
    inside.apply(
      setLink('lo', { up: true }),
      setLink(far.index, { up: true }),
      addAddress({ index: far.index, address: `${outsideAddress[4]}/24` }),
      addAddress({ index: far.index, address: `${outsideAddress[6]}/64` }),
      addRoute({ destination: '0.0.0.0/0', gateway: hostAddress[4] }),
      addRoute({ destination: '::/0', gateway: hostAddress[6] }),
    )
    const place = await Place.open('outside', [80], (...args) => inNamespaceAt(path, () => spawn(...args)))
    return new Outside(path, link, place)
  }

  async close(): Promise<void> {
    await this.place.close()
    // The kernel would take it down a little later, and the next machine has a link of the same name.
    using host = RouteSocket.open()
    await host.deleteLinks([this.#link])
    deleteNamespace(this.#path)
  }
}

/** Whether frames that stay on a bridge pass the packet rules, as hosts of Docker and Kubernetes have it. */
export function filterBridges(on: boolean): void {
  for (const family of ['ip', 'ip6']) {
    writeFileSync(`/proc/sys/net/bridge/bridge-nf-call-${family}tables`, on ? '1' : '0')
  }
}

/** The addresses of an endpoint, without their prefix lengths. */
export function addressesOf(endpoint: Endpoint): { readonly 4: string; readonly 6: string } {
  const plain = (cidr: string | undefined): string => (cidr ?? '').replace(/\/.*/, '')
  return { 4: plain(endpoint.address), 6: plain(endpoint.address6) }
}

/** All packet rules of the host, as `nft` and the programs of iptables tell, in an order of their own. */
export function packetRules(): string[] {
  const { nftables } = nftRuleset() as { nftables: object[] }
  const whatTheySay = (key: string, value: unknown): unknown => {
    if (key === 'handle' || key === 'counter') return undefined
    // In a set, as their hashes fall.
    return key === 'elem' && Array.isArray(value) ? value.map((element) => JSON.stringify(element)).sort() : value
  }
  const saved = ['iptables-save', 'ip6tables-save'].flatMap((command) =>
    String(spawnSync(command).stdout)
      .split('\n')
      .filter((line) => line.startsWith('-A ')),
  )
  return [...nftables.map((item) => JSON.stringify(item, whatTheySay)), ...saved].sort()
}
