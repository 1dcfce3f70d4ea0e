import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { memoryStore, type Store, type StoreOperation } from '@net/datastore'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { silentLogger } from '@net/types'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type Network } from '../src/index.ts'
import { attachPublished, traces, type Traces } from './lab.ts'

await enterFreshHost()

let folder: string
let before: Traces
let local: Store
/** What writes of each sort wait for. */
let gates: Partial<Record<StoreOperation['type'], Promise<void>>>
/** Is called in the middle of operations. */
let onDebug: (message: string) => void
let net: Controller
let network: Network

beforeEach(async () => {
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'at-once-'))
  local = memoryStore()
  gates = {}
  const waiting: Pick<Store, 'transaction'> = {
    transaction: async (operations, call) => {
      for (const { type } of operations) await gates[type]
      return local.transaction(operations, call)
    },
  }
  const stores = {
    local: new Proxy(local, { get: (store, name) => memberOf(name in waiting ? waiting : store, name) }),
  }
  onDebug = () => undefined
  const logger = {
    ...silentLogger,
    debug: (_fields: object, message: string) => {
      onDebug(message)
    },
  }
  net = await openController({ stores, runtimeDirectory: join(folder, 'run'), onClose: 'delete', logger })
  network = await net.createNetwork({ name: 'blue' })
})
afterEach(async () => {
  await net.close()
  expect(await keysOf(local)).toEqual([])
  expect(existsSync(join(folder, 'run', net.id))).toBe(false)
  expect(traces()).toEqual(before)
  rmSync(folder, { recursive: true })
})

function memberOf(target: object, name: string | symbol): unknown {
  const member: unknown = Reflect.get(target, name)
  return typeof member === 'function' ? member.bind(target) : member
}

/** Has writes of a sort wait until the result is called. */
function hold(type: StoreOperation['type']): () => void {
  let release = (): void => undefined
  gates[type] = new Promise((resolve) => {
    release = resolve
  })
  return release
}

async function keysOf(store: Store): Promise<string[]> {
  const { entries } = await store.list('')
  return entries.map(({ key }) => key).filter((key) => !key.startsWith('controllers/'))
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate()
}

/** Looks in between all steps until `isSo`, those without a turn of the event loop too. */
async function until(isSo: () => boolean): Promise<void> {
  for (let step = 1; !isSo(); step++) await (step % 100 === 0 ? setImmediate() : Promise.resolve())
}

describeKernel('what is asked for while something else is under way', () => {
  it.each(['endpoints', 'sandboxes'] as const)('deletes %s that are being attached once they are', async (things) => {
    for (let steps = 0; steps < 40; steps++) {
      const attaching = attachPublished(net, network, 'web')
      await until(() => net[things]().length > 0)
      for (let step = 0; step < steps; step++) await Promise.resolve()
      const deleting = net[things]()[0]?.delete()

      const { sandbox } = await attaching
      if (things === 'endpoints') await expect(deleting).rejects.toMatchObject({ code: 'ERR_ENDPOINT_JOINED' })
      else await deleting
      await sandbox.delete()
      expect(await keysOf(local)).toEqual([`networks/${network.id}`])
    }
  })

  it('deletes a network with an endpoint that is being joined, however often that is asked for', async () => {
    const endpoint = await network.createEndpoint({ name: 'web' })
    const sandbox = await net.createSandbox({ containerId: 'web' })
    const release = hold('put')
    const publishing = endpoint.publish([{ containerPort: 80 }])
    const joining = endpoint.join(sandbox)
    await turns(5)
    const deleting = [network.delete({ force: true }), network.delete({ force: true })]
    await turns(5)
    release()

    await Promise.all([publishing, joining, ...deleting])
    expect(net.networks()).toEqual([])
    expect(sandbox.endpoints()).toEqual([])
  })

  it('gets no files of a sandbox that does not come about', async () => {
    const release = hold('put')
    const abort = new AbortController()
    const creating = net.createSandbox({ containerId: 'web' }, { signal: abort.signal })
    await until(() => net.sandboxes().length > 0)

    const ask = (): unknown => net.getSandbox('web').files
    expect.soft(ask).toThrow(expect.objectContaining({ code: 'ERR_BUSY' }))
    abort.abort(new Error('no time'))
    release()

    await expect(creating).rejects.toThrow('no time')
  })

  it('sees the endpoints of a sandbox that is being deleted', async () => {
    const { sandbox } = await attachPublished(net, network, 'web')
    await (await network.createEndpoint({ name: 'two' })).join(sandbox)

    const seen: number[] = []
    onDebug = (message) => {
      if (message === 'endpoint deleted') seen.push(sandbox.endpoints().length)
    }

    await sandbox.delete()

    expect(seen).toEqual([1, 0])
  })

  it('describes a network whose addresses are let go already', async () => {
    const release = hold('delete')
    const deleting = network.delete()
    const name = `/sys/class/net/${(network.options as { bridge: string }).bridge}`
    while (existsSync(name)) await setImmediate()
    await turns(5)
    const described = await net.describe()
    release()
    await deleting

    expect(described.networks).toMatchObject([{ phase: 'deleting', leases: [{ addresses: [] }] }])
  })

  it('makes no network from settings that are not recorded yet', async () => {
    const release = hold('put')
    const abort = new AbortController()
    const keeping = net.createNetwork({ name: 'settings', configOnly: true }, { signal: abort.signal })
    await turns(5)
    const making = expect(net.createNetwork({ name: 'green', configFrom: 'settings' })).rejects.toMatchObject({
      code: 'ERR_BUSY',
    })
    await turns(5)
    abort.abort(new Error('no time'))
    release()

    await expect(keeping).rejects.toThrow('no time')
    await making
  })
})
