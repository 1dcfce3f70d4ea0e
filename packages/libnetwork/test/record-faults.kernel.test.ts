import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryStore, type Store } from '@net/datastore'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { openController, type Attachment, type Controller, type Network } from '../src/index.ts'
import { traces, type Traces } from './lab.ts'

await enterFreshHost()

/** A store whose nth write from now on fails, as on a full disk; those after it do not. */
class FaultyStore {
  readonly store: Store
  #left = Infinity
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
          if (--this.#left === 0) return Promise.reject(new Error('no space left'))
          return (member as (...all: unknown[]) => unknown).apply(target, args)
        }
      },
    })
  }

  failAt(nth: number): void {
    this.#left = nth
    this.count = 0
  }

  heal(): void {
    this.#left = Infinity
  }
}

let folder: string
let sound: Store
let faulty: FaultyStore
let net: Controller
let network: Network
let before: Traces

const options = (): { stores: { local: Store }; runtimeDirectory: string } => ({
  stores: { local: faulty.store },
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

/** What there is: as the controller says, as the store says, and as the kernel says. */
async function everything(): Promise<unknown> {
  const { entries } = await sound.list('')
  return {
    networks: net.networks().map(({ name }) => name),
    sandboxes: net.sandboxes().map((sandbox) => [sandbox.containerId, sandbox.endpoints().map(({ name }) => name)]),
    endpoints: net.networks().flatMap((one) => one.endpoints().map((it) => [it.name, it.interfaceName, it.ports()])),
    records: entries.map(({ key, value }) => [key, new TextDecoder().decode(value)]),
    ...traces(),
  }
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
