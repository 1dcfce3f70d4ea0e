import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { memoryStore, type Store } from '@net/datastore'
import type { PublishedPort } from '@net/driverapi'
import { deleteNamespace, deleteTable, NftablesSocket, RouteSocket } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ip, ipIn } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type ControllerEvent, type ControllerOptions } from '../src/index.ts'
import {
  attachPublished,
  fetchFrom,
  fetchFromHost,
  openWeb,
  outputOf,
  plain,
  serve,
  StateFolder,
  urlOf,
} from './lab.ts'

await enterFreshHost()

let folder: StateFolder
let net: Controller

const open = async (options: ControllerOptions = {}): Promise<Controller> => {
  net = await openController({ ...folder.places, ...options })
  return net
}

beforeEach(async () => {
  folder = new StateFolder('restart')
  await open()
})
afterEach(async () => {
  await net.close()
  await folder.expectNothingLeft()
})

/** What the controller said when it was opened. */
async function said(controller: Controller): Promise<ControllerEvent[]> {
  const signal = AbortSignal.timeout(50)
  const events: ControllerEvent[] = []
  for await (const event of controller.events({ after: 0, signal })) events.push(event)
  return events
}

/** All links but their counters and the moments they were changed at. */
function links(): unknown {
  return (ip('link', 'show') as { ifname: string; ifindex: number; flags: string[] }[]).map(
    ({ ifname, ifindex, flags }) => [ifname, ifindex, flags.filter((flag) => flag !== 'NO-CARRIER')],
  )
}

describeKernel('a controller that is closed and opened again', () => {
  it('knows what there was, and the host is as it was', async () => {
    const network = await net.createNetwork({ name: 'blue', ipv6: true, labels: { a: 'b' } })
    const one = await net.attach({
      network,
      endpoint: { name: 'web', ports: [{ containerPort: 80 }, { containerPort: 8000, containerPortEnd: 8099 }] },
      sandbox: { containerId: 'web', hostname: 'web-1', extraHosts: { printer: '192.0.2.9' } },
    })
    const two = await net.attach({ network, endpoint: { name: 'db' }, sandbox: { containerId: 'db' } })
    const free = await network.createEndpoint({ name: 'free' })
    const hosts = readFileSync(one.sandbox.files.hosts, 'utf8')
    const state = {
      id: net.id,
      address: one.endpoint.address,
      ports: one.endpoint.ports(),
      routes: ipIn(one.sandbox.key, 'route', 'show'),
      links: links(),
    }
    await net.close()

    const again = await open()
    const web = again.getSandbox('web')
    const [endpoint] = web.endpoints()
    expect({
      id: again.id,
      address: endpoint?.address,
      ports: endpoint?.ports(),
      routes: ipIn(web.key, 'route', 'show'),
      links: links(),
    }).toEqual(state)
    expect(web.hostname).toBe('web-1')
    expect(again.getNetwork('blue').labels).toEqual({ a: 'b' })
    expect(
      again
        .getNetwork('blue')
        .endpoints()
        .map(({ name }) => name),
    ).toEqual(['db', 'free', 'web'].sort((a, b) => ids(again, a).localeCompare(ids(again, b))))
    expect(readFileSync(web.files.hosts, 'utf8')).toBe(hosts)
    expect(await outputOf(web, 'getent', ['ahostsv4', 'db'])).toContain(plain(two.endpoint.address))
    expect(await said(again)).toMatchObject([
      { kind: 'recovered', networks: 1, endpoints: 3, sandboxes: 2, gone: [], refused: [] },
    ])

    // Nothing that is held is given to others.
    const three = await again.attach({ network: 'blue', endpoint: { name: 'new' }, sandbox: { containerId: 'new' } })
    expect([one, two].map(({ endpoint: { address } }) => address)).not.toContain(three.endpoint.address)
    expect(three.endpoint.address).not.toBe(free.address)
    await expect(again.createNetwork({ name: 'blue' })).rejects.toMatchObject({ code: 'ERR_NETWORK_EXISTS' })
  })

  it('does not touch the traffic of containers, which goes on while nobody is there', async () => {
    await using web = await openWeb(net, { ipv6: true })
    const { url } = web
    expect(await fetchFromHost(url)).toBe('hello')
    await net.close()

    expect(await fetchFromHost(url)).toBe('hello')
    await open()
    expect(await fetchFromHost(url)).toBe('hello')
    const other = await net.attach({ network: 'blue', endpoint: { name: 'b' }, sandbox: { containerId: 'b' } })
    expect(await fetchFrom(other.sandbox, 'http://web/')).toBe('hello')
    await net.getSandbox('web').delete()
    await expect(fetchFromHost(url)).rejects.toThrow(/ECONNREFUSED/)
  })

  it('finds networks again, and no sandboxes, where the host was started anew', async () => {
    const network = await net.createNetwork({ name: 'blue', ipv6: true })
    await attachPublished(net, network, 'web')
    const kept = await network.createEndpoint({ name: 'kept' })
    await net.close()
    await forgetEverything(net.id)

    const again = await open()
    expect(again.sandboxes()).toEqual([])
    expect(
      again
        .getNetwork('blue')
        .endpoints()
        .map(({ name }) => name),
    ).toEqual(['kept'])
    expect((await said(again)).map(({ kind }) => kind)).toEqual(['drift', 'recovered'])
    const { endpoint, sandbox } = await again.attach({
      network: 'blue',
      endpoint: { name: 'new' },
      sandbox: { containerId: 'web' },
    })
    const there = await outputOf(sandbox, 'ip', ['-br', 'addr', 'show', 'eth0'])
    for (const family of ['address', 'address6'] as const) {
      expect(endpoint[family]).not.toBe(kept[family])
      expect(there).toContain(endpoint[family])
    }
    await using _web = await serve(sandbox, 'hello')
    const other = await again.attach({ network: 'blue', endpoint: { name: 'b' }, sandbox: { containerId: 'b' } })
    for (const host of [plain(endpoint.address), `[${plain(endpoint.address6)}]`, 'new']) {
      expect(await fetchFrom(other.sandbox, `http://${host}/`)).toBe('hello')
    }
  })

  it('puts right what was undone while nobody was there', async () => {
    await using web = await openWeb(net)
    const { url } = web
    const { bridge } = web.network.options as { bridge: string }
    await net.close()
    ip('link', 'del', bridge)
    for (const { ifname } of ip('link', 'show', 'type', 'veth') as { ifname: string }[]) ip('link', 'del', ifname)

    await open()
    expect(await fetchFromHost(url)).toBe('hello')
  })

  it('says which port another program took meanwhile, lets it lead on, and holds it when it is free', async () => {
    await using web = await openWeb(net)
    const [port] = JSON.parse(JSON.stringify(web.endpoint.ports())) as PublishedPort[]
    await net.close()
    const thief = createServer().listen(port?.hostPort)
    await once(thief, 'listening')

    await open()
    expect(await said(net)).toMatchObject([{ kind: 'port-lost', endpoint: 'web', port }, { kind: 'recovered' }])
    expect(net.getSandbox('web').endpoints()[0]?.ports()).toEqual([port])
    expect(await fetchFromHost(web.url)).toBe('hello')
    thief.close()
    await once(thief, 'close')
    // Free again, it is nobody else's all the same.
    const other = await attachPublished(net, 'blue', 'other')
    expect(other.endpoint.ports()[0]?.hostPort).not.toBe(port?.hostPort)
    await expect
      .poll(() => said(net), { timeout: 10_000 })
      .toContainEqual(expect.objectContaining({ kind: 'port-held', endpoint: 'web', port }))
    const late = createServer().listen(port?.hostPort)
    const [error] = (await once(late, 'error')) as [Error]
    expect(error).toMatchObject({ code: 'EADDRINUSE' })
    expect(await fetchFromHost(web.url)).toBe('hello')
  })

  it('touches nothing of another one on the host, whatever their names', async () => {
    const make = async (controller: Controller, pool: string): Promise<string> => {
      const network = await controller.createNetwork({ name: 'blue', ipam: { pools: [{ pool }] } })
      const { endpoint } = await attachPublished(controller, network, 'web')
      return urlOf(endpoint)
    }
    const url = await make(net, '10.1.0.0/24')
    await using _server = await serve(net.getSandbox('web'), 'mine')
    const as = links()
    const places = { stateDirectory: join(folder.path, 'other'), runtimeDirectory: join(folder.path, 'run') }
    const first = await openController(places)
    await make(first, '10.2.0.0/24')
    await first.close()
    await net.close()

    const again = await openController({ ...places, onClose: 'delete' })
    expect(await said(again)).toMatchObject([{ kind: 'recovered', networks: 1, sandboxes: 1, gone: [] }])
    await again.close()
    expect(await fetchFromHost(url)).toBe('mine')
    await open()
    expect(await said(net)).toMatchObject([{ kind: 'recovered', networks: 1, sandboxes: 1, gone: [] }])
    await expect.poll(links).toEqual(as)
    expect(await fetchFromHost(url)).toBe('mine')
  })

  it('is one at a time on a state directory', async () => {
    await expect(openController(folder.places)).rejects.toMatchObject({
      code: 'ERR_CONTROLLER_RUNNING',
      pid: process.pid,
    })
  })
})

/** Ids of endpoints, by which they are ordered when they come from the store. */
function ids(controller: Controller, name: string): string {
  return (
    controller
      .getNetwork('blue')
      .endpoints()
      .find((endpoint) => endpoint.name === name)?.id ?? ''
  )
}

describeKernel('records that cannot be read', () => {
  it('are told of and kept; the others are taken over, and nothing that may be theirs is removed', async () => {
    const local = memoryStore()
    const places = { runtimeDirectory: join(folder.path, 'other'), stores: { local } }
    const first = await openController(places)
    const network = await first.createNetwork({ name: 'blue' })
    const web = await first.attach({ network, endpoint: { name: 'web' }, sandbox: { containerId: 'web' } })
    const bad = await first.attach({ network, endpoint: { name: 'bad' }, sandbox: { containerId: 'bad' } })
    const driven = await first.createNetwork({ name: 'driven' })
    await first.close()
    await change(local, `endpoints/${bad.endpoint.id}`, (record) => ({ ...record, ports: 'none' }))
    await change(local, `networks/${driven.id}`, (record) => ({ ...record, driver: 'nope' }))
    const as = links()

    const again = await openController(places)
    expect(await said(again)).toMatchObject([
      { kind: 'record-refused', key: `endpoints/${bad.endpoint.id}`, error: { code: 'ERR_RECORD_REFUSED' } },
      { kind: 'record-refused', key: `networks/${driven.id}`, error: { code: 'ERR_NO_SUCH_DRIVER' } },
      { kind: 'recovered', networks: 1, endpoints: 1, sandboxes: 2 },
    ])
    expect(links()).toEqual(as)
    expect(await outputOf(again.getSandbox('web'), 'getent', ['ahostsv4', 'web'])).toContain(
      plain(web.endpoint.address),
    )
    await again.close()

    // Mended, they are there again.
    await change(local, `endpoints/${bad.endpoint.id}`, (record) => ({ ...record, ports: [] }))
    await change(local, `networks/${driven.id}`, (record) => ({ ...record, driver: 'bridge' }))
    const last = await openController({ ...places, onClose: 'delete' })
    expect(await said(last)).toMatchObject([
      { kind: 'recovered', networks: 2, endpoints: 2, sandboxes: 2, refused: [] },
    ])
    await last.close()
    await local.close()
  })
})

/** Changes a stored record behind the controller's back. */
async function change(
  store: Store,
  key: string,
  by: (record: Record<string, unknown>) => Record<string, unknown>,
): Promise<void> {
  const { value } = await store.get(key)
  const envelope = JSON.parse(new TextDecoder().decode(value)) as { value: { record: Record<string, unknown> } }
  envelope.value.record = by(envelope.value.record)
  await store.put(key, new TextEncoder().encode(JSON.stringify(envelope)))
}

/** What a restart of the host leaves of a controller: nothing but its store. */
async function forgetEverything(id: string): Promise<void> {
  for (const name of readdirSync(join(folder.path, 'run', id))) deleteNamespace(join(folder.path, 'run', id, name))
  using routes = RouteSocket.open()
  await routes.deleteLinks(routes.listLinks().flatMap(({ alias, index }) => (alias === `net:${id}` ? [index] : [])))
  using nftables = NftablesSocket.open()
  nftables.commit(nftables.listTables().map(deleteTable))
}
