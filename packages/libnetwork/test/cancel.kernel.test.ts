import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryStore, type Store } from '@net/datastore'
import { describeKernel, enterFreshHost, ipIn } from '@net/netlink-ffi/testing'
import type { CallOptions } from '@net/types'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type Endpoint, type Network, type Sandbox } from '../src/index.ts'
import { traces, type Traces } from './lab.ts'

await enterFreshHost()

const GIVEN_UP = new Error('given up')
/** More steps than any operation has. */
const MOST = 60

/** A moment of an operation at which its caller gives it up. */
interface Moment {
  readonly at: number
  readonly kind: 'look' | 'before a write' | 'after a write'
}

/** Gives an operation up at a moment, if it comes to that. */
class Caller {
  readonly #abort = new AbortController()
  readonly #moment: Moment
  #looks = 0
  #writes = 0

  constructor(moment: Moment) {
    this.#moment = moment
    const { signal } = this.#abort
    Object.defineProperty(signal, 'throwIfAborted', {
      value: () => {
        this.#come('look', ++this.#looks)
        if (signal.aborted) throw signal.reason
      },
    })
  }

  get call(): CallOptions {
    return { signal: this.#abort.signal }
  }

  get hasGivenUp(): boolean {
    return this.#abort.signal.aborted
  }

  /** Around each write of records. */
  async write<T>(work: () => Promise<T>): Promise<T> {
    this.#writes++
    this.#come('before a write', this.#writes)
    const result = await work()
    this.#come('after a write', this.#writes)
    return result
  }

  #come(kind: Moment['kind'], at: number): void {
    if (kind === this.#moment.kind && at === this.#moment.at) this.#abort.abort(GIVEN_UP)
  }
}

let before: Traces
let local: Store
let caller: Caller | undefined
let net: Controller
let network: Network
let endpoint: Endpoint
let sandbox: Sandbox

/** The store, with the caller of the moment around its writes. */
function watched(store: Store): Store {
  return new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      const method = value.bind(target) as (...values: readonly unknown[]) => Promise<unknown>
      if (name !== 'transaction') return method
      return (...values: readonly unknown[]) =>
        caller === undefined ? method(...values) : caller.write(() => method(...values))
    },
  })
}

beforeEach(async () => {
  before = traces()
  local = memoryStore()
  net = await openController({ stores: { local: watched(local) }, onClose: 'delete' })
  network = await net.createNetwork({ name: 'blue', ipv6: true })
  endpoint = await network.createEndpoint({ name: 'one', ports: [{ containerPort: 80, hostPort: 8080 }] })
  sandbox = await net.createSandbox({ containerId: 'one' })
})
afterEach(async () => {
  caller = undefined
  await net.close()
  expect(traces()).toEqual(before)
  await local.close()
})

/** All that there is: what the controller knows, what the kernel has, and the records. */
async function everything(): Promise<unknown> {
  const { sandboxes, ...rest } = await net.describe()
  const { entries } = await local.list('')
  return JSON.parse(
    JSON.stringify({
      ...rest,
      sandboxes: sandboxes.map((one) => ({ ...one, dns: undefined })),
      records: entries.map(({ key, value }) => [key, new TextDecoder().decode(value)]),
    }),
  )
}

/** Links of namespaces that were dropped are reaped a little later. */
async function expectAsBefore(known: unknown, moment: string): Promise<void> {
  let now = await everything()
  for (let attempt = 0; attempt < 20 && JSON.stringify(now) !== JSON.stringify(known); attempt++) {
    await sleep(20)
    now = await everything()
  }
  expect(now, moment).toEqual(known)
}

type Operation = (call: CallOptions) => Promise<unknown>

/** Gives an operation up at one moment after another, until it has no more of them; says how often it was given up. */
async function giveUpEverywhere(operation: Operation, kind: Moment['kind'], undo: Operation): Promise<number> {
  const known = await everything()
  for (let at = 1; at < MOST; at++) {
    caller = new Caller({ kind, at })
    const { call } = caller
    const outcome = await operation(call).then(
      () => 'done',
      (error: unknown) => error,
    )
    const { hasGivenUp } = caller
    caller = undefined
    if (outcome === 'done') await undo({})
    else expect(outcome).toBe(GIVEN_UP)
    // Whoever gives up after the last step gets what he asked for.
    await expectAsBefore(known, `${kind} ${at}: ${outcome === 'done' ? 'done' : 'given up'}`)
    if (!hasGivenUp) return at - 1
  }
  throw new Error('it goes on and on')
}

const none = (): Promise<void> => Promise.resolve()

const made: readonly [string, Operation, Operation][] = [
  [
    'createNetwork',
    (call) => net.createNetwork({ name: 'red', ipv6: true }, call),
    () => net.getNetwork('red').delete(),
  ],
  [
    'createEndpoint',
    (call) => network.createEndpoint({ name: 'two', ports: [{ containerPort: 81, hostPort: 8081 }] }, call),
    () => network.getEndpoint('two').delete(),
  ],
  ['createSandbox', (call) => net.createSandbox({ containerId: 'two' }, call), () => net.getSandbox('two').delete()],
  [
    'attach',
    (call) =>
      net.attach(
        {
          network,
          endpoint: { name: 'two', ports: [{ containerPort: 81, hostPort: 8081 }] },
          sandbox: { containerId: 'two' },
        },
        call,
      ),
    () => net.getSandbox('two').delete(),
  ],
  ['join', (call) => endpoint.join(sandbox, {}, call), () => endpoint.leave(sandbox)],
  [
    'publish',
    (call) => endpoint.publish([{ containerPort: 82, hostPort: 8082 }], call),
    () => endpoint.unpublish([{ containerPort: 82 }]),
  ],
]

describeKernel('an operation that is given up', () => {
  it.each(made)('%s leaves nothing behind, whenever it looks whether it is', async (_, operation, undo) => {
    expect(await giveUpEverywhere(operation, 'look', undo)).toBeGreaterThan(3)
  })

  it.each(made)('%s leaves nothing behind, given up before and after each write', async (_, operation, undo) => {
    expect(await giveUpEverywhere(operation, 'before a write', undo)).toBeGreaterThan(0)
    expect(await giveUpEverywhere(operation, 'after a write', undo)).toBeGreaterThan(0)
  })

  it('setKey leaves nothing in the namespace, given up at any moment', async () => {
    const waiting = await net.createSandbox({ containerId: 'waiting', key: false })
    await (await network.createEndpoint({ name: 'waiting', ports: [{ containerPort: 83 }] })).join(waiting)
    const container = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(container.stdout, 'data')
    const path = `/proc/${container.pid ?? 0}/ns/net`
    const links = (): unknown[] => ipIn(path, 'link', 'show') as unknown[]
    expect(links()).toHaveLength(1)

    for (const kind of ['look', 'before a write', 'after a write'] as const) {
      const known = await everything()
      for (let at = 1; ; at++) {
        caller = new Caller({ kind, at })
        const outcome = await waiting.setKey(path, caller.call).then(none, (error: unknown) => error)
        const { hasGivenUp } = caller
        caller = undefined
        if (outcome === undefined)
          await expect(waiting.setKey('/proc/self/ns/net')).rejects.toMatchObject({ code: 'ERR_INVALID_NAMESPACE' })
        else expect(outcome).toBe(GIVEN_UP)
        await expectAsBefore(known, `${kind} ${at}`)
        await expect.poll(links).toHaveLength(1)
        if (!hasGivenUp) break
      }
    }
    container.kill()
    await once(container, 'exit')
  })

  const unmade: readonly [string, Operation][] = [
    ['leave', (call) => endpoint.leave(sandbox, call)],
    ['endpoint.delete', (call) => endpoint.delete({ force: true }, call)],
    ['sandbox.delete', (call) => sandbox.delete(call)],
    ['network.delete', (call) => net.getNetwork('empty').delete({}, call)],
    ['network.delete by force', (call) => network.delete({ force: true }, call)],
  ]

  it.each(unmade)('%s changes nothing until it begins, and is carried through then', async (_, operation) => {
    await endpoint.join(sandbox)
    await net.createNetwork({ name: 'empty' })
    const known = await everything()
    let at = 1
    for (; at < MOST; at++) {
      caller = new Caller({ kind: 'look', at })
      const outcome = await operation(caller.call).then(none, (error: unknown) => error)
      if (!caller.hasGivenUp) break
      expect(outcome).toBe(GIVEN_UP)
      await expectAsBefore(known, `look ${at}`)
    }
    caller = undefined
    expect(at).toBeGreaterThan(1)
    expect((await net.describe()).differences).toEqual([])
  })
})
