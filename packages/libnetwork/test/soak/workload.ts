import type { PublishedPort } from '@net/driverapi'
import type { Controller, Endpoint, Network, PortRequest, Sandbox } from '../../src/index.ts'
import { numbersOf } from './random.ts'

/** As many as there may be at a time. */
const MAX_NETWORKS = 50
const MAX_CONTAINERS = 120
const MAX_ENDPOINTS = 3
const MAX_PUBLICATIONS = 6
/** Ranges that are asked for by number: so many ports each, at numbers that nobody is given who asks for none. */
const RANGE = 5
const RANGE_SLOTS = { first: 10_000, count: 4_000 } as const

/** What can be done next to a network, a container or a place of it. */
interface Held {
  isBusy: boolean
}

export interface HeldNetwork extends Held {
  readonly network: Network
  readonly interContainer: boolean
  /** Places on it, and those that somebody is about to make or unmake. */
  users: number
}

export interface HeldPlace {
  readonly on: HeldNetwork
  readonly endpoint: Endpoint
  /** What it was told that it publishes. */
  readonly ports: Set<PublishedPort>
}

export interface HeldContainer extends Held {
  readonly sandbox: Sandbox
  readonly places: Set<HeldPlace>
}

/**
 * Does random things to a controller, several at once, and remembers what it was told. No two are about the same
 * container, so none of them is to fail.
 */
export class Workload {
  readonly networks = new Set<HeldNetwork>()
  readonly containers = new Set<HeldContainer>()
  /** How many of each operation were done. */
  readonly done = new Map<string, number>()
  readonly #controller: Controller
  readonly #random: (limit: number) => number
  /** Networks that are not there yet. */
  #creating = 0
  #made = 0

  constructor(controller: Controller, seed: number) {
    this.#controller = controller
    this.#random = numbersOf(seed)
  }

  /** Does so many operations, `atOnce` at a time. */
  async run(operations: number, atOnce: number): Promise<void> {
    let left = operations
    const work = async (): Promise<void> => {
      while (left > 0) {
        const kind = this.#pickOf(...weighted)
        left--
        if (await this.#operations[kind]()) this.done.set(kind, (this.done.get(kind) ?? 0) + 1)
        // Nothing to do it to: another one instead.
        else left++
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
  }

  /** Each says whether there was something to do it to. */
  readonly #operations: Readonly<Record<Kind, () => Promise<boolean>>> = {
    'create network': () => this.#createNetwork(),
    'delete network': () => this.#deleteNetwork(),
    attach: () => this.#attach(),
    detach: () => this.#withContainer((container) => this.#detach(container)),
    join: () => this.#withContainer((container) => this.#join(container)),
    leave: () => this.#withContainer((container) => this.#leave(container)),
    publish: () => this.#withContainer((container) => this.#publish(container)),
    unpublish: () => this.#withContainer((container) => this.#unpublish(container)),
  }

  async #createNetwork(): Promise<boolean> {
    if (this.networks.size + this.#creating >= MAX_NETWORKS) return false
    const interContainer = this.#random(5) > 0
    this.#creating++
    const network = await this.#controller.createNetwork({
      name: this.#fresh('network'),
      ipv6: this.#random(2) === 0,
      internal: this.#random(5) === 0,
      options: { 'com.docker.network.bridge.enable_icc': interContainer },
    })
    this.#creating--
    this.networks.add({ isBusy: false, users: 0, network, interContainer })
    return true
  }

  async #deleteNetwork(): Promise<boolean> {
    const held = this.#pickFree([...this.networks].filter(({ users }) => users === 0))
    if (held === undefined || this.networks.size < MAX_NETWORKS / 2) return false
    held.isBusy = true
    await held.network.delete()
    this.networks.delete(held)
    return true
  }

  async #attach(): Promise<boolean> {
    const on = this.#pickFree(this.networks)
    if (on === undefined || this.containers.size >= MAX_CONTAINERS) return false
    on.users++
    const containerId = this.#fresh('container')
    const { endpoint, sandbox } = await this.#controller.attach({
      network: on.network,
      endpoint: { name: containerId, ports: on.network.internal ? [] : this.#ports() },
      sandbox: { containerId },
    })
    const places = new Set([{ on, endpoint, ports: new Set(endpoint.ports()) }])
    this.containers.add({ isBusy: false, sandbox, places })
    return true
  }

  async #detach(container: HeldContainer): Promise<boolean> {
    await container.sandbox.delete()
    this.containers.delete(container)
    for (const { on } of container.places) on.users--
    return true
  }

  async #join({ sandbox, places }: HeldContainer): Promise<boolean> {
    const on = this.#pickFree(this.networks)
    if (on === undefined || places.size >= MAX_ENDPOINTS) return false
    on.users++
    const endpoint = await on.network.createEndpoint({ name: this.#fresh('endpoint') })
    await endpoint.join(sandbox)
    places.add({ on, endpoint, ports: new Set() })
    return true
  }

  async #leave({ sandbox, places }: HeldContainer): Promise<boolean> {
    const place = this.#pick([...places])
    if (place === undefined || places.size < 2) return false
    await place.endpoint.leave(sandbox)
    await place.endpoint.delete()
    places.delete(place)
    place.on.users--
    return true
  }

  async #publish({ places }: HeldContainer): Promise<boolean> {
    const place = this.#pick([...places].filter(({ on }) => !on.network.internal))
    if (place === undefined || place.ports.size >= MAX_PUBLICATIONS) return false
    for (const port of await place.endpoint.publish(this.#ports())) place.ports.add(port)
    return true
  }

  async #unpublish({ places }: HeldContainer): Promise<boolean> {
    const place = this.#pick([...places].filter(({ ports }) => ports.size > 0))
    const port = this.#pick([...(place?.ports ?? [])])
    if (place === undefined || port === undefined) return false
    await place.endpoint.unpublish([requestOf(port)])
    place.ports.delete(port)
    return true
  }

  /** One or two ports, or a range, that the host has free. */
  #ports(): PortRequest[] {
    const protocol = this.#pickOf('tcp', 'udp')
    const containerPort = 80 + this.#random(900)
    const slot = RANGE_SLOTS.first + RANGE * (this.#made++ % RANGE_SLOTS.count)
    return this.#pickOf<PortRequest[]>(
      [{ protocol, containerPort }],
      [
        { protocol: 'tcp', containerPort },
        { protocol: 'udp', containerPort },
      ],
      [{ protocol, containerPort, containerPortEnd: containerPort + RANGE - 1 }],
      [{ protocol, containerPort: slot, containerPortEnd: slot + RANGE - 1, hostPort: slot }],
    )
  }

  async #withContainer(work: (container: HeldContainer) => Promise<boolean>): Promise<boolean> {
    const container = this.#pickFree(this.containers)
    if (container === undefined) return false
    container.isBusy = true
    const isDone = await work(container)
    container.isBusy = false
    return isDone
  }

  #pickFree<T extends Held>(all: Iterable<T>): T | undefined {
    return this.#pick([...all].filter(({ isBusy }) => !isBusy))
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[this.#random(list.length)]
  }

  #pickOf<T>(first: T, ...others: readonly T[]): T {
    return this.#pick([first, ...others]) ?? first
  }

  #fresh(kind: string): string {
    return `${kind}${this.#made++}`
  }
}

const weighted = [
  ...['create network', 'delete network'],
  ...['attach', 'attach', 'attach', 'detach', 'detach'],
  ...['join', 'leave', 'publish', 'publish', 'unpublish', 'unpublish'],
] as const
type Kind = (typeof weighted)[number]

function requestOf({ protocol, containerPort, hostPort, count = 1 }: PublishedPort): PortRequest {
  const request = { protocol, containerPort, hostPort }
  return count === 1 ? request : { ...request, containerPortEnd: containerPort + count - 1 }
}
