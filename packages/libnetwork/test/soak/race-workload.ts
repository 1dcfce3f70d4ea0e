import { statSync } from 'node:fs'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { isNetError, type CallOptions } from '@net/types'
import type { PublishedPort } from '@net/driverapi'
import type { Controller, Endpoint, Network, PortRequest, Sandbox } from '../../src/index.ts'
import type { ExternalNamespace } from '../external-namespace.ts'
import { numbersOf } from './random.ts'

const NETWORKS = ['blue', 'green', 'inland']
const CONTAINERS = ['web', 'db', 'cache']
const ENDPOINTS = ['one', 'two', 'three', 'four']
/** Ports of the host that are asked for by number: whoever comes late does not get them. */
const HOST_PORTS = [4001, 4002, 4003]
/** How long an operation may take, all others of its round included, until it counts as one that never ends. */
const PATIENCE_MS = 60_000

/** Others were faster: what was picked is gone, busy or taken. */
const LATE =
  /^ERR_(NO_SUCH_(NETWORK|ENDPOINT|SANDBOX)|BUSY|ENDPOINT_(EXISTS|JOINED|NOT_JOINED)|NETWORK_EXISTS|CONTAINER_HAS_SANDBOX|ACTIVE_ENDPOINTS|PORT_NOT_PUBLISHED|PORT_IN_USE|POOL_OVERLAP|ADDRESS_IN_USE)$/

/** Why an operation was given up. */
class GivenUp extends Error {
  override readonly name = 'GivenUp'
}

/** What is done is told, a line a thing, for whoever looks at a round that went wrong. */
type Tell = (what: string) => void

/**
 * Does random things at once to a controller of few objects, each after a random number of turns: all are about the same
 * few, so many come too late, and say so.
 */
export class RaceWorkload {
  /** What was done in the last round. */
  readonly told: string[] = []
  /** How many of each operation worked, and how many were refused with which code. */
  readonly done = new Map<string, number>()
  readonly #controller: Controller
  readonly #others: readonly ExternalNamespace[]
  readonly #random: (limit: number) => number
  /** Namespaces of others that some sandbox is being given. */
  readonly #spokenFor = new Set<ExternalNamespace>()
  readonly #underWay = new Set<string>()

  constructor(controller: Controller, others: readonly ExternalNamespace[], seed: number) {
    this.#controller = controller
    this.#others = others
    this.#random = numbersOf(seed)
  }

  /** Begins so many operations at once, and waits for all. */
  async round(operations: number): Promise<void> {
    this.told.length = 0
    const all = Promise.all(Array.from({ length: operations }, (_, at) => this.#operate(at)))
    const patience = new AbortController()
    const hang = setTimeout(PATIENCE_MS, undefined, { signal: patience.signal, ref: false }).then(() => {
      throw new Error(`never ended: ${[...this.#underWay].join(', ')}`)
    })
    try {
      await Promise.race([all, hang])
    } finally {
      hang.catch(() => undefined)
      patience.abort()
    }
  }

  async #operate(at: number): Promise<void> {
    const kind = this.#pick(kinds)
    await this.#pause()
    const label = `${at} ${kind}`
    const tell: Tell = (what) => this.told.push(`${label}: ${what}`)
    this.#underWay.add(label)
    const abort = new AbortController()
    const givingUp = this.#random(4) === 0 ? this.#giveUp(abort) : undefined
    try {
      await this.#operations[kind](tell, { signal: abort.signal })
      tell('done')
      this.#count(kind)
    } catch (error) {
      tell(error instanceof Error ? `${error.name}: ${error.message}` : String(error))
      if (!(error instanceof GivenUp) && !(isNetError(error) && LATE.test(error.code))) throw error
      this.#count(`${kind} ${isNetError(error) ? error.code : 'given up'}`)
    } finally {
      this.#underWay.delete(label)
      await givingUp
    }
  }

  readonly #operations: Readonly<Record<Kind, (tell: Tell, call: CallOptions) => Promise<unknown>>> = {
    'create network': (tell, call) => {
      const name = this.#pick(NETWORKS)
      tell(name)
      const pools = this.#random(3) === 0 ? { ipam: { pools: [{ pool: '10.77.0.0/24' }] } } : {}
      const driver = name === 'inland' ? 'inland' : 'bridge'
      return this.#controller.createNetwork({ name, driver, ipv6: this.#random(2) === 0, ...pools }, call)
    },
    'delete network': (tell, call) =>
      this.#with(this.#controller.networks(), (network) => {
        const force = this.#random(3) === 0
        tell(`${network.name}${force ? ' with force' : ''}`)
        return network.delete({ force }, call)
      }),
    'create endpoint': (tell, call) =>
      this.#with(this.#controller.networks(), (network) => {
        const name = this.#pick(ENDPOINTS)
        tell(`${name} on ${network.name}`)
        return network.createEndpoint({ name, ports: this.#ports(), aliases: ['alias'] }, call)
      }),
    'delete endpoint': (tell, call) =>
      this.#with(this.#controller.endpoints(), (endpoint) => {
        const force = this.#random(2) === 0
        tell(`${textOf(endpoint)}${force ? ' with force' : ''}`)
        return endpoint.delete({ force }, call)
      }),
    join: (tell, call) =>
      this.#withBoth((endpoint, sandbox) => {
        tell(`${textOf(endpoint)} to ${sandbox.containerId}`)
        return endpoint.join(sandbox, { priority: this.#random(3) }, call)
      }),
    leave: (tell, call) =>
      this.#withBoth((endpoint, sandbox) => {
        tell(`${textOf(endpoint)} from ${sandbox.containerId}`)
        return endpoint.leave(endpoint.sandboxId ?? sandbox, call)
      }),
    publish: (tell, call) =>
      this.#with(this.#controller.endpoints(), (endpoint) => {
        tell(textOf(endpoint))
        return endpoint.publish(this.#ports(), call)
      }),
    unpublish: (tell, call) =>
      this.#with(this.#controller.endpoints(), (endpoint) =>
        this.#with(endpoint.ports(), (port) => {
          tell(textOf(endpoint))
          return endpoint.unpublish([requestOf(port)], call)
        }),
      ),
    attach: (tell, call) =>
      this.#with(this.#controller.networks(), (network) => {
        const [name, containerId] = [this.#pick(ENDPOINTS), this.#pick(CONTAINERS)]
        tell(`${containerId} to ${network.name} as ${name}`)
        const sandbox = { containerId, ...(this.#random(4) === 0 ? { key: false as const } : {}) }
        return this.#controller.attach({ network, endpoint: { name, ports: this.#ports() }, sandbox }, call)
      }),
    'create sandbox': (tell, call) =>
      this.#withNamespace(async (path) => {
        const containerId = this.#pick(CONTAINERS)
        const key = this.#pick([undefined, false as const, path])
        tell(`${containerId} with key ${key}`)
        return this.#controller.createSandbox({ containerId, ...(key === undefined ? {} : { key }) }, call)
      }),
    'delete sandbox': (tell, call) =>
      this.#with(this.#controller.sandboxes(), (sandbox) => {
        tell(sandbox.containerId)
        return sandbox.delete(call)
      }),
    refresh: (tell) =>
      this.#with(this.#controller.sandboxes(), (sandbox) => {
        tell(sandbox.containerId)
        const hostname = this.#pick([sandbox.containerId, 'host1', 'host2'])
        return sandbox.refresh({ hostname, extraHosts: { extra: '192.0.2.9' } })
      }),
    rename: (tell) =>
      this.#with(this.#controller.sandboxes(), (sandbox) => {
        const name = this.#pick([...ENDPOINTS, 'renamed'])
        tell(`${sandbox.containerId} to ${name}`)
        return sandbox.rename(name)
      }),
    'set key': (tell, call) =>
      this.#withNamespace(async (path) =>
        this.#with(this.#controller.sandboxes(), (sandbox) => {
          tell(sandbox.containerId)
          return sandbox.setKey(path, call)
        }),
      ),
    files: (tell) =>
      this.#with(this.#controller.sandboxes(), (sandbox) => {
        tell(sandbox.containerId)
        return sandbox.files
      }),
    look: (tell) => {
      tell(`${lookAt(this.#controller)} things`)
      return this.#controller.describe()
    },
    statistics: (tell) =>
      this.#with(this.#controller.sandboxes(), async (sandbox) => {
        tell(sandbox.containerId)
        await sandbox.resolveName(this.#pick(ENDPOINTS))
        await this.#with(sandbox.endpoints(), (endpoint) => endpoint.driverInfo())
      }),
    reload: () => this.#controller.reload({ dns: { cacheEntries: this.#random(100) } }),
  }

  async #with<T, R>(all: readonly T[], work: (one: T) => R): Promise<Awaited<R> | undefined> {
    const one = all[this.#random(all.length)]
    return one === undefined ? undefined : await work(one)
  }

  #withBoth(work: (endpoint: Endpoint, sandbox: Sandbox) => Promise<void>): Promise<void> {
    return this.#with(this.#controller.endpoints(), (endpoint) =>
      this.#with(this.#controller.sandboxes(), (sandbox) => work(endpoint, sandbox)),
    )
  }

  /** Keeps a namespace that no sandbox has or is being given. */
  async #withNamespace(work: (path: string) => Promise<unknown>): Promise<void> {
    const keys = this.#controller.sandboxes().map(({ key }) => statSync(key, { throwIfNoEntry: false })?.ino)
    const free = this.#others.filter((other) => !this.#spokenFor.has(other) && !keys.includes(statSync(other.path).ino))
    await this.#with(free, async (other) => {
      this.#spokenFor.add(other)
      try {
        await work(other.path)
      } finally {
        this.#spokenFor.delete(other)
      }
    })
  }

  async #giveUp(abort: AbortController): Promise<void> {
    await this.#pause()
    abort.abort(new GivenUp())
  }

  #ports(): PortRequest[] {
    const containerPort = 80 + this.#random(20)
    const hostPort = this.#pick(HOST_PORTS)
    return this.#pick<PortRequest[]>([
      [],
      [{ containerPort }],
      [
        { protocol: 'udp', containerPort },
        { containerPort, hostPort },
      ],
      [{ containerPort, containerPortEnd: containerPort + 4 }],
    ])
  }

  /** Some turns of the microtask queue, and perhaps of the event loop before. */
  async #pause(): Promise<void> {
    for (let turns = this.#random(3) * this.#random(5); turns > 0; turns--) await setImmediate()
    for (let turns = this.#random(40); turns > 0; turns--) await Promise.resolve()
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random(list.length)] as T
  }

  #count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1)
  }
}

const kinds = [
  ...['create network', 'create network', 'create network', 'delete network'],
  ...['create endpoint', 'create endpoint', 'create endpoint', 'delete endpoint'],
  ...['join', 'join', 'join', 'join', 'leave', 'publish', 'publish', 'unpublish'],
  ...['attach', 'attach', 'attach', 'create sandbox', 'create sandbox', 'delete sandbox'],
  ...['refresh', 'rename', 'set key', 'files', 'files', 'look', 'statistics', 'reload'],
] as const
type Kind = (typeof kinds)[number]

/** Asks everything that answers at once; nothing of it is to throw, whatever is half done. */
function lookAt(controller: Controller): number {
  const handles = [
    ...controller.networks().flatMap((network) => [network, ...network.endpoints()]),
    ...controller.endpoints(),
    ...controller.sandboxes().flatMap((sandbox) => [sandbox, ...sandbox.endpoints()]),
  ]
  for (const handle of handles) readAll(handle)
  controller.metrics({ bySandbox: true })
  return handles.length
}

function readAll(handle: Network | Endpoint | Sandbox): void {
  const members = Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(handle) as object))
  for (const [name, member] of members) if ('get' in member && name !== 'files') Reflect.get(handle, name)
}

function textOf({ name, networkId }: Endpoint): string {
  return `${name} on ${networkId.slice(0, 6)}`
}

function requestOf({ protocol, containerPort, hostPort, count = 1 }: PublishedPort): PortRequest {
  return { protocol, containerPort, hostPort, containerPortEnd: containerPort + count - 1 }
}
