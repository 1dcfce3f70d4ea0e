import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryStore, type Store } from '@net/datastore'
import type { NetworkDriver } from '@net/driverapi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { openController, type Attachment, type Controller, type Network } from '../src/index.ts'
import { spoiledDriver, traces, type Traces } from './lab.ts'

await enterFreshHost()

/** A store whose nth write from now on fails, as on a full disk; those after it do not, or all of them do. */
class FaultyStore {
  readonly store: Store
  #left = Infinity
  #isLasting = false
  /** Writes since it was told which is to fail. */
  count = 0

  constructor(sound: Store) {
    this.store = new Proxy(sound, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        if (name !== 'transaction' && name !== 'put') return member.bind(target) as unknown
        return (...args: unknown[]): unknown => {
          this.count++
          if (--this.#left === 0 || (this.#isLasting && this.#left < 0))
            return Promise.reject(new Error('no space left'))
          return (member as (...all: unknown[]) => unknown).apply(target, args)
        }
      },
    })
  }

  failAt(nth: number): void {
    this.#left = nth
    this.count = 0
  }

  failFrom(nth: number): void {
    this.failAt(nth)
    this.#isLasting = true
  }

  heal(): void {
    this.#left = Infinity
    this.#isLasting = false
  }
}

let folder: string
let sound: Store
let faulty: FaultyStore
let net: Controller
let network: Network
let before: Traces

/** Whose networks lead nowhere. */
const inland: NetworkDriver = {
  ...spoiledDriver({ join: (plan) => ({ ...plan, sandbox: { ...plan.sandbox, gateways: {} } }) }),
  type: 'inland',
  needsGatewayNetwork: true,
}

const options = (): { stores: { local: Store }; runtimeDirectory: string; drivers: NetworkDriver[] } => ({
  stores: { local: faulty.store },
  drivers: [inland],
  runtimeDirectory: join(folder, 'run'),
})

beforeEach(async () => {
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'faults-'))
  sound = memoryStore()
  faulty = new FaultyStore(sound)
  net = await openController({ ...options(), onClose: 'delete' })
  network = await net.createNetwork({ name: 'blue', ipv6: true })
})
afterEach(async () => {
  faulty.heal()
  await net.close()
  expect((await sound.list('')).entries.map(({ key }) => key)).toEqual(['controllers/copy', 'controllers/self'])
  await sound.close()
  expect(traces()).toEqual(before)
  rmSync(folder, { recursive: true })
})

/** What there is: as the controller says, and as the kernel says. */
function everythingAlive(): object {
  return {
    namespaces: readdirSync(join(folder, 'run', net.id)).filter((name) => /^[0-9a-f]{12}(\.files)?$/.test(name)),
    networks: net.networks().map(({ name }) => name),
    sandboxes: net.sandboxes().map((sandbox) => [sandbox.containerId, sandbox.endpoints().map(({ name }) => name)]),
    endpoints: net.networks().flatMap((one) => one.endpoints().map((it) => [it.name, it.interfaceName, it.ports()])),
    ...traces(),
  }
}

/** As {@link everythingAlive}, and as the store says. */
async function everything(): Promise<object> {
  const { entries } = await sound.list('')
  return { ...everythingAlive(), records: entries.map(({ key, value }) => [key, new TextDecoder().decode(value)]) }
}

/** Does something with each of its writes failing in turn, until none of them does; then it is done. */
async function withEachWriteFailing(work: () => Promise<unknown>): Promise<number> {
  const as = await everything()
  for (let nth = 1; ; nth++) {
    faulty.failAt(nth)
    try {
      await work()
      expect(faulty.count).toBeLessThan(nth)
      return faulty.count
    } catch (error) {
      expect(error).toMatchObject({ message: 'no space left' })
      faulty.heal()
      await vi.waitFor(async () => {
        expect(await everything()).toEqual(as)
      })
    }
  }
}

/** Does something with a store that takes no more writes from each of its own on in turn; then, with a sound one. */
async function withNoMoreWrites<T>(work: () => Promise<T>): Promise<T> {
  const as = everythingAlive()
  for (let nth = 1; ; nth++) {
    faulty.failFrom(nth)
    let done: T
    try {
      done = await work()
    } catch (error) {
      expect(error).toMatchObject({ message: 'no space left' })
      await vi.waitFor(() => {
        expect(everythingAlive()).toEqual(as)
      })
      continue
    } finally {
      faulty.heal()
    }
    expect(faulty.count).toBeLessThan(nth)
    // What could not be forgotten went with the first write that was taken.
    const kept = (await sound.list('endpoints/')).entries.map(({ key }) => key)
    expect(kept).toHaveLength(net.endpoints().length)
    return done
  }
}

describeKernel('an operation whose record cannot be written', () => {
  const attach = (): Promise<Attachment> =>
    net.attach({
      network,
      endpoint: { name: 'web', ports: [{ containerPort: 80 }] },
      sandbox: { containerId: 'web', dns: false },
    })

  it('makes no network', async () => {
    expect(await withEachWriteFailing(() => net.createNetwork({ name: 'red' }))).toBe(1)
  })

  it('attaches nothing, and what is attached takes two commits', async () => {
    expect(await withEachWriteFailing(attach)).toBe(2)
  })

  it('makes no endpoint, and no sandbox', async () => {
    expect(await withEachWriteFailing(() => network.createEndpoint({ name: 'e' }))).toBe(1)
    expect(await withEachWriteFailing(() => net.createSandbox({ containerId: 'c', dns: false }))).toBe(1)
  })

  it('joins nothing', async () => {
    const endpoint = await network.createEndpoint({ name: 'e' })
    const sandbox = await net.createSandbox({ containerId: 'c', dns: false })

    expect(await withEachWriteFailing(() => endpoint.join(sandbox))).toBe(1)
  })

  it('lets nobody leave', async () => {
    const { endpoint, sandbox } = await attach()

    expect(await withEachWriteFailing(() => endpoint.leave(sandbox))).toBe(1)
  })

  it('publishes nothing, and takes nothing back', async () => {
    const { endpoint } = await attach()

    expect(await withEachWriteFailing(() => endpoint.publish([{ containerPort: 81, hostPort: 8081 }]))).toBe(1)
    expect(await withEachWriteFailing(() => endpoint.unpublish([{ containerPort: 81 }]))).toBe(1)
  })

  it('renames nothing', async () => {
    const { sandbox } = await attach()

    expect(await withEachWriteFailing(() => sandbox.rename('other'))).toBe(1)
  })

  it('deletes no container', async () => {
    const { sandbox } = await attach()

    expect(await withEachWriteFailing(() => sandbox.delete())).toBe(1)
  })
})

describeKernel('an operation during which the store begins to take no more writes', () => {
  const sandbox = { containerId: 'web', dns: false } as const

  it('leaves no record, though nothing else is written before the controller is closed', async () => {
    await network.delete()
    faulty.failFrom(2)
    await expect(net.createSandbox({ ...sandbox, key: '/proc/self/environ' })).rejects.toMatchObject({
      code: 'ERR_INVALID_NAMESPACE',
    })
    faulty.heal()

    expect((await sound.list('sandboxes/')).entries).toHaveLength(1)
  })

  it('attaches nothing, and attaches it when asked again', async () => {
    const { endpoint } = await withNoMoreWrites(() =>
      net.attach({ network, endpoint: { name: 'web', ports: [{ containerPort: 80 }] }, sandbox }),
    )

    expect(endpoint.sandboxId).toBe(net.getSandbox('web').id)
    expect((await net.describe()).differences).toEqual([])
  })

  it('attaches nothing by way of the gateway network', async () => {
    const inland = await net.createNetwork({ name: 'inland', driver: 'inland' })
    await net.createNetwork({ name: 'net_gateway' })
    const attached = await withNoMoreWrites(() => net.attach({ network: inland, endpoint: { name: 'web' }, sandbox }))

    expect(attached.sandbox.endpoints()).toHaveLength(2)
    expect((await net.describe()).differences).toEqual([])
  })

  it('joins nothing, and joins it when asked again', async () => {
    const inland = await net.createNetwork({ name: 'inland', driver: 'inland' })
    await net.createNetwork({ name: 'net_gateway' })
    const endpoint = await inland.createEndpoint({ name: 'web' })
    const made = await net.createSandbox(sandbox)
    await withNoMoreWrites(() => endpoint.join(made))

    expect(made.endpoints()).toHaveLength(2)
    expect((await net.describe()).differences).toEqual([])
  })
})
