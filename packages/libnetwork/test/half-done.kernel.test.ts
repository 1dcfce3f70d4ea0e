import { existsSync, mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryStore, StoreUnavailableError, type Store } from '@net/datastore'
import { defaultIpam } from '@net/ipam'
import type { IpamDriver } from '@net/ipamapi'
import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import { silentLogger } from '@net/types'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type ControllerEvent, type Network } from '../src/index.ts'
import { outputOf, traces, type Traces } from './lab.ts'

await enterFreshHost()

/** An address manager that remembers by itself, and whose next answers can be made to go wrong. */
class OwnManager {
  readonly #real = defaultIpam({}, { store: memoryStore() })
  /** Is asked before each call, after which it may throw; or says that it throws once the call was carried out. */
  fault: (method: string) => 'before' | 'after' | undefined = () => undefined
  /** What is answered in the place of addresses. */
  lie: (address: string) => string = (address) => address

  readonly driver: IpamDriver = {
    ...this.#real,
    name: 'own',
    capabilities: { requiresMacAddress: false, requiresRequestReplay: false },
    requestPool: (...call) => this.#do('requestPool', () => this.#real.requestPool(...call)),
    releasePool: (...call) => this.#do('releasePool', () => this.#real.releasePool(...call)),
    requestAddress: (...call) =>
      this.#do('requestAddress', async () => {
        const answer = await this.#real.requestAddress(...call)
        return { ...answer, address: this.lie(answer.address) }
      }),
    releaseAddress: (...call) => this.#do('releaseAddress', () => this.#real.releaseAddress(...call)),
  }

  async #do<T>(method: string, work: () => Promise<T>): Promise<T> {
    const fault = this.fault(method)
    if (fault === 'before') throw new Error(`${method} refused`)
    const answer = await work()
    if (fault === 'after') throw new StoreUnavailableError('the manager', `no answer to ${method}`, 'unknown')
    return answer
  }
}

let folder: string
let local: Store
let own: OwnManager
let net: Controller
let before: Traces
let warnings: unknown[]

const open = async (onClose: 'keep' | 'delete' = 'keep'): Promise<Controller> => {
  net = await openController({
    ...{ stores: { local }, runtimeDirectory: join(folder, 'run'), ipam: [own.driver], onClose },
    logger: { ...silentLogger, warn: (...said: unknown[]) => warnings.push(said[1]) },
  })
  return net
}

beforeEach(async () => {
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'half-'))
  local = memoryStore()
  own = new OwnManager()
  warnings = []
  await open()
})
afterEach(async () => {
  own.fault = () => undefined
  own.lie = (address) => address
  await net.close()
  await (await open('delete')).close()
  expect((await local.list('')).entries.map(({ key }) => key)).toEqual(['controllers/copy', 'controllers/self'])
  expect(traces()).toEqual(before)
  rmSync(folder, { recursive: true })
})

const makeNetwork = (name = 'blue', driver = 'own'): Promise<Network> => net.createNetwork({ name, ipam: { driver } })

/** What the controller says when it is opened again. */
async function reopened(): Promise<ControllerEvent[]> {
  await net.close()
  await open()
  const events: ControllerEvent[] = []
  for await (const event of net.events({ after: 0 })) {
    events.push(event)
    if (event.kind === 'recovered') break
  }
  return events
}

/** Opens it again over a store whose transactions go through `wrap`. */
async function reopenWith(wrap: (write: () => Promise<unknown>) => Promise<unknown>): Promise<void> {
  await net.close()
  const sound = local
  local = new Proxy(sound, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      if (name !== 'transaction') return member.bind(target) as unknown
      return (...args: unknown[]) => wrap(() => (member as (...all: unknown[]) => Promise<unknown>).apply(target, args))
    },
  })
  await open()
}

describeKernel('a name', () => {
  it('is not given to two endpoints of one network', async () => {
    const network = await makeNetwork()
    const sandbox = await net.createSandbox({ containerId: 'c', dns: false })
    await (await network.createEndpoint({ name: 'a' })).join(sandbox)
    await (await network.createEndpoint({ name: 'b' })).join(sandbox)

    await expect(sandbox.rename('web')).rejects.toMatchObject({ code: 'ERR_ENDPOINT_EXISTS' })
    expect(network.endpoints().map(({ name }) => name)).toEqual(['a', 'b'])
  })

  it('stays taken while another is being recorded, so that it can come back', async () => {
    const { id } = await makeNetwork()
    let written = Promise.resolve()
    await reopenWith(async (write) => {
      await written
      return write()
    })
    const network = net.getNetwork(id)
    const { endpoint, sandbox } = await net.attach({
      ...{ network, endpoint: { name: 'old' }, sandbox: { containerId: 'c', dns: false } },
    })

    written = sleep(100)
    const renaming = sandbox.rename('new')
    await sleep(20)
    await expect(network.createEndpoint({ name: 'old' })).rejects.toMatchObject({ code: 'ERR_ENDPOINT_EXISTS' })
    expect(network.endpoints().map(({ id: one }) => one)).toEqual([endpoint.id])
    await renaming
    await (await network.createEndpoint({ name: 'old' })).delete()
  })

  it('of a sandbox that waits for its namespace is not known by its new name either', async () => {
    const network = await makeNetwork()
    const waiting = await net.createSandbox({ containerId: 'waiting', key: false })
    await (await network.createEndpoint({ name: 'x' })).join(waiting)
    const { sandbox } = await net.attach({ network, endpoint: { name: 'asks' }, sandbox: { containerId: 'asks' } })

    await waiting.rename('db')

    expect(await outputOf(sandbox, 'getent', ['ahostsv4', 'db'])).toBe('')
    expect(await outputOf(sandbox, 'getent', ['ahostsv4', 'asks'])).not.toBe('')
  })
})

describeKernel('what was half deleted', () => {
  it('does not let its address go a second time, when it may be another’s', async () => {
    const network = await makeNetwork()
    const first = await network.createEndpoint({ name: 'first' })
    own.fault = (method) => (method === 'releaseAddress' ? 'after' : undefined)
    await expect(first.delete()).rejects.toThrow('no answer to releaseAddress')
    own.fault = () => undefined

    const second = await network.createEndpoint({ name: 'second', address: first.address?.split('/')[0] })
    await first.delete()
    const third = await network.createEndpoint({ name: 'third' })

    expect(second.address).not.toBe(third.address)
  })

  it('cannot be used any more, and can be deleted again', async () => {
    const network = await makeNetwork()
    const endpoint = await network.createEndpoint({ name: 'e' })
    const sandbox = await net.createSandbox({ containerId: 'c', dns: false })
    own.fault = (method) => (method === 'releaseAddress' ? 'before' : undefined)
    await expect(endpoint.delete()).rejects.toThrow('refused')
    const busy = { code: 'ERR_BUSY', kind: 'retry' }

    await expect(endpoint.join(sandbox)).rejects.toMatchObject(busy)
    await expect(endpoint.publish([{ containerPort: 80 }])).rejects.toMatchObject(busy)
    own.fault = () => undefined
    await endpoint.delete()
    expect(network.endpoints()).toEqual([])
  })

  it('with a sandbox is unmade at the next opening, and hinders nothing', async () => {
    const network = await makeNetwork()
    const sandbox = await net.createSandbox({ containerId: 'c', dns: false })
    await (await network.createEndpoint({ name: 'a' })).join(sandbox)
    await (await network.createEndpoint({ name: 'b' })).join(sandbox)
    own.fault = (method) => (method === 'releaseAddress' ? 'before' : undefined)
    await expect(sandbox.delete()).rejects.toThrow('refused')
    await expect(sandbox.rename('c')).rejects.toMatchObject({ code: 'ERR_BUSY' })
    own.fault = () => undefined

    expect((await reopened()).at(-1)).toMatchObject({ kind: 'recovered', endpoints: 0, sandboxes: 0, refused: [] })
    expect((await net.getNetwork('blue').createEndpoint({ name: 'again' })).address).toBe('172.17.0.2/16')
  })

  it('with a sandbox is found when the sandbox is deleted again', async () => {
    const network = await makeNetwork()
    const sandbox = await net.createSandbox({ containerId: 'c', dns: false })
    for (const name of ['a', 'b']) await (await network.createEndpoint({ name })).join(sandbox)
    own.fault = (method) => (method === 'releaseAddress' ? 'before' : undefined)
    await expect(sandbox.delete()).rejects.toThrow('refused')
    own.fault = () => undefined

    await sandbox.delete()
    expect([net.sandboxes(), net.endpoints()]).toEqual([[], []])
    expect((await network.createEndpoint({ name: 'again' })).address).toBe('172.17.0.2/16')
  })

  it.each(['before', 'after'] as const)(
    'of a network whose manager fails %s letting its pool go is told of, and tried again at each opening',
    async (moment) => {
      const network = await makeNetwork()
      await makeNetwork('green', 'default')
      own.fault = (method) => (method === 'releasePool' ? moment : undefined)
      await expect(network.delete()).rejects.toThrow('releasePool')

      if (moment === 'before') {
        expect(await reopened()).toMatchObject([
          { kind: 'record-refused', key: `networks/${network.id}` },
          { kind: 'recovered', networks: 1 },
        ])
      }
      own.fault = () => undefined
      expect(await reopened()).toMatchObject([
        { kind: 'undone', what: 'network', name: 'blue' },
        { kind: 'recovered', networks: 1, refused: [], undone: { networks: ['blue'] } },
      ])
    },
  )
})

describeKernel('what could not be recorded', () => {
  it('is unmade as far as that goes, though the store takes nothing', async () => {
    const network = await makeNetwork()
    let isFull = false
    await reopenWith((write) => (isFull ? Promise.reject(new Error('no space left')) : write()))
    const blue = net.getNetwork(network.id)
    const request = { name: 'e', ports: [{ containerPort: 80, hostPort: 8080 }] }
    isFull = true
    await expect(blue.createEndpoint(request)).rejects.toThrow()
    await expect(
      net.attach({ network: blue, endpoint: request, sandbox: { containerId: 'c', dns: false } }),
    ).rejects.toThrow()
    isFull = false

    expect(blue.endpoints()).toEqual([])
    expect((await blue.createEndpoint(request)).address).toBe('172.17.0.2/16')
  })
})

describeKernel('an endpoint that is deleted by force', () => {
  it.each(['own', 'default'])('is gone at the next opening once it has left its sandbox: of %s', async (manager) => {
    const { id } = await makeNetwork('blue', manager)
    let writesLeft = Infinity
    await reopenWith((write) => (writesLeft-- > 0 ? write() : Promise.reject(new Error('no space left'))))
    const attached = { network: id, endpoint: { name: 'web' }, sandbox: { containerId: 'web' } }
    const { endpoint } = await net.attach(attached)

    writesLeft = 1
    await expect(endpoint.delete({ force: true })).rejects.toThrow('no space left')
    writesLeft = Infinity

    expect(await reopened()).toContainEqual(
      expect.objectContaining({ kind: 'undone', what: 'endpoint', name: 'web' }) as unknown,
    )
    expect([net.endpoints(), net.getSandbox('web').endpoints()]).toEqual([[], []])
    expect((await net.getNetwork(id).createEndpoint({ name: 'web' })).address).toBe('172.17.0.2/16')
  })
})

describeKernel('opening', () => {
  it('goes on without a published address that the host has no more, and says so', async () => {
    ip('address', 'add', '192.0.2.9/32', 'dev', 'lo')
    const network = await makeNetwork()
    const ports = [{ containerPort: 80, hostPort: 8080, hostAddress: '192.0.2.9' }]
    await net.attach({ network, endpoint: { name: 'web', ports }, sandbox: { containerId: 'web' } })
    ip('address', 'del', '192.0.2.9/32', 'dev', 'lo')

    expect(await reopened()).toMatchObject([
      { kind: 'port-lost', endpoint: 'web', error: { code: 'ERR_NOT_HOST_ADDRESS' } },
      { kind: 'recovered', endpoints: 1, sandboxes: 1 },
    ])
    expect(warnings).toContain('tcp 8080 leads to web as before, but is not held')
    expect(await outputOf(net.getSandbox('web'), 'getent', ['ahostsv4', 'web'])).not.toBe('')
  })

  it('goes on with the others where the files of a waiting sandbox are damaged', async () => {
    const network = await makeNetwork()
    await net.createSandbox({ containerId: 'waiting', key: false })
    await net.attach({ network, endpoint: { name: 'web' }, sandbox: { containerId: 'web' } })
    const hash = `${net.getSandbox('waiting').files.resolvConf}.hash`
    expect(existsSync(hash)).toBe(true)
    truncateSync(hash)

    expect(await reopened()).toMatchObject([{ kind: 'recovered', sandboxes: 2, refused: [] }])
    expect(await outputOf(net.getSandbox('web'), 'getent', ['ahostsv4', 'web'])).not.toBe('')
  })
})

describeKernel('an address manager’s answer', () => {
  it.each([
    ['a gateway that reaches half the world', '172.17.0.1/1'],
    ['a gateway outside its pool', '10.0.0.1/16'],
    ['no address', 'nonsense'],
  ])('is not handed on where it is %s', async (_, answer) => {
    own.lie = () => answer
    await expect(makeNetwork()).rejects.toMatchObject({ code: 'ERR_INVALID_IPAM_ANSWER' })
  })

  it.each(['172.17.0.5/8', '172.99.0.5/16', 'fd00::1/64', ''])(
    'is not handed on where an endpoint is to have %j',
    async (answer) => {
      const network = await makeNetwork()
      own.lie = () => answer
      await expect(network.createEndpoint({ name: 'e' })).rejects.toMatchObject({ code: 'ERR_INVALID_IPAM_ANSWER' })
      expect(network.endpoints()).toEqual([])
    },
  )
})
