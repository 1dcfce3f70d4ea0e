import type { BridgeLink, ExistingBridge, JoinPlan, NetworkPlan, SandboxLink, Sysctl } from '@net/driverapi'
import { addressesOf } from '../interfaces.ts'

/** Index of a link that is wanted and not there: no link has it. */
export const MISSING = 0

/** A bridge that is to be there. */
export interface WantedBridge {
  readonly kind: 'bridge'
  readonly name: string
  readonly link: BridgeLink | ExistingBridge
  readonly sysctls: readonly Sysctl[]
  index: number
}

/** The host's end of an interface that is to be there. */
export interface WantedPort {
  readonly kind: 'port'
  readonly name: string
  readonly key: string
  readonly link: SandboxLink
  index: number
}

/** A link of the host that is to be there. */
export type WantedLink = WantedBridge | WantedPort

/** The links that plans made on the host, as they are to be. */
export class WantedLinks {
  readonly #byName = new Map<string, WantedLink>()
  readonly #byIndex = new Map<number, WantedLink>()
  /** Ports by the name of their bridge: those that go off it together. */
  readonly #ports = new Map<string, Set<WantedPort>>()
  /** Ports by the addresses of their far ends. */
  readonly #byAddress = new Map<string, WantedPort>()

  /** All of them, bridges first. */
  all(): WantedLink[] {
    const links = [...this.#byName.values()]
    return [...links.filter(({ kind }) => kind === 'bridge'), ...links.filter(({ kind }) => kind === 'port')]
  }

  find(index: number): WantedLink | undefined {
    return this.#byIndex.get(index)
  }

  /** The port whose far end is to have that address, with prefix length. */
  findByAddress(address: string): WantedPort | undefined {
    return this.#byAddress.get(address)
  }

  has(link: WantedLink): boolean {
    return this.#byName.get(link.name) === link
  }

  /** Index of the bridge of that name that is ours to use. */
  bridgeIndex(name: string): number | undefined {
    const link = this.#byName.get(name)
    return link?.kind === 'bridge' ? link.index : undefined
  }

  portsOf(bridge: string): WantedPort[] {
    return [...(this.#ports.get(bridge) ?? [])]
  }

  /** `indexes` are those of the plan's links, in their order. */
  addNetwork({ links, sysctls }: NetworkPlan, indexes: readonly number[]): void {
    links.forEach((link, at) => {
      this.#add({ kind: 'bridge', name: link.name, link, sysctls, index: indexes[at] ?? MISSING })
    })
  }

  addJoin(key: string, { sandbox }: JoinPlan, indexes: readonly number[]): void {
    sandbox.links.forEach((link, at) => {
      const port: WantedPort = { kind: 'port', name: link.create.hostName, key, link, index: indexes[at] ?? MISSING }
      this.#add(port)
      const ports = this.#ports.get(link.create.master) ?? new Set()
      this.#ports.set(link.create.master, ports.add(port))
      for (const address of addressesOf(link)) this.#byAddress.set(address, port)
    })
  }

  /** The link has another index from now on. */
  renumber(link: WantedLink, index: number): void {
    this.#byIndex.delete(link.index)
    link.index = index
    this.#byIndex.set(index, link)
  }

  removeNetwork({ links }: NetworkPlan): void {
    for (const { name } of links) this.#remove(name)
  }

  removeJoin({ sandbox }: JoinPlan): void {
    for (const { create } of sandbox.links) this.#remove(create.hostName)
  }

  #add(link: WantedLink): void {
    this.#byName.set(link.name, link)
    this.#byIndex.set(link.index, link)
  }

  #remove(name: string): void {
    const link = this.#byName.get(name)
    if (link === undefined) return
    this.#byName.delete(name)
    this.#byIndex.delete(link.index)
    if (link.kind === 'bridge') return
    for (const address of addressesOf(link.link)) {
      if (this.#byAddress.get(address) === link) this.#byAddress.delete(address)
    }
    const ports = this.#ports.get(link.link.create.master)
    ports?.delete(link)
    if (ports?.size === 0) this.#ports.delete(link.link.create.master)
  }
}
