import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryStore, type Store } from '@net/datastore'
import { createNamespace } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ip, ipIn } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Attachment, type Controller, type ControllerEvent, type Network } from '../src/index.ts'
import { attachPublished, fetchFromHost, plain, serve, traces, urlOf, type Traces } from './lab.ts'

await enterFreshHost()

let folder: string
let local: Store
let before: Traces
let net: Controller
let network: Network
let web: Attachment

const open = async (onClose: 'keep' | 'delete' = 'keep'): Promise<Controller> => {
  net = await openController({ stores: { local }, runtimeDirectory: join(folder, 'run'), onClose })
  return net
}

beforeEach(async () => {
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'refused-'))
  local = memoryStore()
  await open()
  network = await net.createNetwork({ name: 'blue' })
  web = await attachPublished(net, network, 'web')
})
afterEach(async () => {
  await net.close()
  const last = await open()
  for (const { key } of (await last.describe()).refused) await last.forgetRecord(key)
  await last.close()
  await (await open('delete')).close()
  await local.close()
  expect(traces()).toEqual(before)
  expect(readdirSync(join(folder, 'run'))).toEqual([])
  rmSync(folder, { recursive: true })
})

type Value = Record<string, unknown>
interface Stored extends Value {
  readonly record: Value
}

/** Changes a record behind the controller's back, and returns what it was. */
async function change(key: string, by: (value: Stored) => Value): Promise<Uint8Array> {
  const { value } = await local.get(key)
  const envelope = JSON.parse(new TextDecoder().decode(value)) as { value: Stored }
  await local.put(key, new TextEncoder().encode(JSON.stringify({ ...envelope, value: by(envelope.value) })))
  return value
}

/** Has a member of a record be what it cannot be. */
const damage = (key: string, member: string): Promise<Uint8Array> =>
  change(key, ({ record, ...rest }) => ({ ...rest, record: { ...record, [member]: [7] } }))

async function ruin(key: string): Promise<void> {
  await local.put(key, new TextEncoder().encode('{"version":1,"val'))
}

/** What the controller said when it was opened. */
async function said(): Promise<ControllerEvent[]> {
  const events: ControllerEvent[] = []
  for await (const event of net.events({ after: 0 })) {
    events.push(event)
    if (event.kind === 'recovered') break
  }
  return events
}

const refused = async (): Promise<string[]> => (await net.describe()).refused.map(({ key }) => key)

describeKernel('a record that cannot be read', () => {
  it.each(['phase', 'sandboxId', 'priority', 'macAddress', 'exposed'])(
    'of an endpoint (%s) keeps its address, ports and name, and its network',
    async (member) => {
      const [port] = web.endpoint.ports()
      await net.close()
      const sound = await damage(`endpoints/${web.endpoint.id}`, member)

      await open()
      const other = await attachPublished(net, 'blue', 'other')
      expect(other.endpoint.address).not.toBe(web.endpoint.address)
      expect(other.endpoint.ports()[0]?.hostPort).not.toBe(port?.hostPort)
      const blue = net.getNetwork('blue')
      await expect(blue.createEndpoint({ name: 'web' })).rejects.toMatchObject({ code: 'ERR_ENDPOINT_EXISTS' })
      await expect(
        blue.createEndpoint({ name: 'a', ports: [{ containerPort: 1, hostPort: port?.hostPort }] }),
      ).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' })
      await expect(blue.createEndpoint({ name: 'a', address: plain(web.endpoint.address) })).rejects.toMatchObject({
        code: 'ERR_ADDRESS_IN_USE',
      })
      await other.detach()
      for (const force of [false, true]) {
        await expect(blue.delete({ force })).rejects.toMatchObject({
          code: 'ERR_ACTIVE_ENDPOINTS',
          message: expect.stringMatching(/: web$/) as string,
        })
      }
      await attachPublished(net, 'blue', 'third')
      await net.close()

      await local.put(`endpoints/${web.endpoint.id}`, sound)
      await open()
      expect((await said()).at(-1)).toMatchObject({ kind: 'recovered', endpoints: 2, sandboxes: 2, refused: [] })
    },
  )

  it('of a sandbox keeps what its endpoints have, and its container', async () => {
    const [port] = web.endpoint.ports()
    await net.close()
    const sound = await damage(`sandboxes/${web.sandbox.id}`, 'hostname')

    await open()
    await expect(net.createSandbox({ containerId: 'web' })).rejects.toMatchObject({ code: 'ERR_CONTAINER_HAS_SANDBOX' })
    const other = await attachPublished(net, 'blue', 'other')
    expect(other.endpoint.address).not.toBe(web.endpoint.address)
    expect(other.endpoint.ports()[0]?.hostPort).not.toBe(port?.hostPort)
    await net.close()

    await local.put(`sandboxes/${web.sandbox.id}`, sound)
    await open()
    expect((await said()).at(-1)).toMatchObject({ kind: 'recovered', endpoints: 2, sandboxes: 2, refused: [] })
  })

  it('of a network keeps its pools and name', async () => {
    const { pool } = network.ipv4 ?? { pool: '' }
    await net.close()
    const sound = await damage(`networks/${network.id}`, 'labels')

    await open()
    await expect(net.createNetwork({ name: 'blue' })).rejects.toMatchObject({ code: 'ERR_NETWORK_EXISTS' })
    await expect(net.createNetwork({ name: 'red', ipam: { pools: [{ pool }] } })).rejects.toMatchObject({
      code: 'ERR_POOL_OVERLAP',
    })
    const red = await net.createNetwork({ name: 'red' })
    expect(red.ipv4?.pool).not.toBe(pool)
    await net.close()

    await local.put(`networks/${network.id}`, sound)
    await open()
    expect((await said()).at(-1)).toMatchObject({ kind: 'recovered', networks: 2, endpoints: 1, refused: [] })
  })

  it('at all leaves its container the address that it has in its namespace', async () => {
    await net.close()
    await ruin(`endpoints/${web.endpoint.id}`)

    await open()
    const other = await net.attach({ network: 'blue', endpoint: { name: 'o' }, sandbox: { containerId: 'o' } })
    expect(other.endpoint.address).not.toBe(web.endpoint.address)
    await other.detach()
    await expect(net.getNetwork('blue').delete()).rejects.toMatchObject({
      code: 'ERR_ACTIVE_ENDPOINTS',
      message: expect.stringContaining(web.sandbox.key) as string,
    })
  })

  it('at all leaves its network the pool that its bridge is in', async () => {
    const { pool } = network.ipv4 ?? { pool: '' }
    await net.close()
    await ruin(`networks/${network.id}`)

    await open()
    await expect(net.createNetwork({ name: 'red', ipam: { pools: [{ pool }] } })).rejects.toMatchObject({
      code: 'ERR_POOL_OVERLAP',
    })
  })
})

describeKernel('what a refused record stands for', () => {
  it.each([
    ['endpoint', () => `endpoints/${web.endpoint.id}`, 'priority'],
    ['sandbox', () => `sandboxes/${web.sandbox.id}`, 'hostname'],
    ['network', () => `networks/${network.id}`, 'labels'],
  ])('goes on answering at its published port, until it is forgotten (%s)', async (_, keyOf, member) => {
    await using _server = await serve(web.sandbox, 'hello')
    const url = urlOf(web.endpoint)
    await net.close()
    await damage(keyOf(), member)

    await open()
    expect(await fetchFromHost(url)).toBe('hello')
    const { host, differences } = await net.describe()
    expect(host.firewall).toMatchObject({ missing: [], unexpected: [] })
    expect(differences.filter(({ what }) => what === 'missing')).toEqual([])
    await net.forgetRecord(`endpoints/${web.endpoint.id}`)
    await expect(fetchFromHost(url)).rejects.toThrow(/ECONNREFUSED/)
    expect((await net.describe()).host.firewall).toMatchObject({ missing: [], unexpected: [] })
  })

  it('does not where the packet rules are not sure: a port, an address or options are damaged', async () => {
    await net.close()
    for (const member of ['ports', 'address', 'options', 'networkId']) {
      const sound = await damage(`endpoints/${web.endpoint.id}`, member)
      await open()
      expect(await refused()).toEqual([`endpoints/${web.endpoint.id}`])
      await expect(fetchFromHost(urlOf(web.endpoint))).rejects.toThrow(/ECONNREFUSED/)
      await net.close()
      await local.put(`endpoints/${web.endpoint.id}`, sound)
    }
    await open()
  })
})

describeKernel('two records that lay claim to one thing', () => {
  it.each([
    ['port', 'ports'],
    ['address', 'address'],
    ['name', 'name'],
  ])('(%s) are one that is taken over and one that is refused', async (_, member) => {
    const other = await attachPublished(net, network, 'other')
    await net.close()
    const keys = [web, other].map(({ endpoint }) => `endpoints/${endpoint.id}`).sort()
    const first = JSON.parse(new TextDecoder().decode((await local.get(keys[0] ?? '')).value)) as { value: Stored }
    await change(keys[1] ?? '', ({ record, ...rest }) => ({
      ...rest,
      record: { ...record, [member]: first.value.record[member] },
    }))

    await open()
    expect(await said()).toMatchObject([
      { kind: 'record-refused', key: keys[1], error: { code: 'ERR_RECORD_CONFLICT' } },
      { kind: 'recovered', endpoints: 1, sandboxes: 2 },
    ])
  })

  it('(pool) are one network that is taken over and one that is refused', async () => {
    const red = await net.createNetwork({ name: 'red' })
    await net.close()
    const [one, other] = [network, red].sort((a, b) => (a.id < b.id ? -1 : 1))
    await change(`networks/${other?.id ?? ''}`, ({ record, ...rest }) => ({
      ...rest,
      record: { ...record, ipv4: { poolId: 'x', pool: one?.ipv4?.pool, gateway: one?.ipv4?.gateway } },
    }))

    await open()
    expect(await said()).toContainEqual(
      expect.objectContaining({
        kind: 'record-refused',
        key: `networks/${other?.id ?? ''}`,
        error: expect.objectContaining({ code: 'ERR_RECORD_CONFLICT' }) as Error,
      }),
    )
    expect(net.networks().map(({ id }) => id)).toEqual([one?.id])
  })
})

describeKernel('a refused record', () => {
  it('is described, and forgotten when that is asked for; what the host has of it goes at the next opening', async () => {
    const [port] = web.endpoint.ports()
    const key = `endpoints/${web.endpoint.id}`
    await net.close()
    await damage(key, 'exposed')

    await open()
    expect((await net.describe()).refused).toEqual([{ key, error: expect.stringContaining('exposed') as string }])
    await expect(net.forgetRecord(`sandboxes/${web.sandbox.id}`)).rejects.toMatchObject({
      code: 'ERR_RECORD_NOT_REFUSED',
      kind: 'forbidden',
    })
    await Promise.all([net.forgetRecord(key), net.forgetRecord(key)])
    await net.forgetRecord(key)
    expect(await refused()).toEqual([])
    // Its container lives: what the rules led to it is free, its address is not.
    const again = await net.getNetwork('blue').createEndpoint({
      name: 'web',
      ports: [{ containerPort: 80, hostPort: port?.hostPort }],
    })
    expect(again.address).not.toBe(web.endpoint.address)
    expect(JSON.stringify(ipIn(web.sandbox.key, 'addr', 'show'))).toContain(plain(web.endpoint.address))
    await net.close()

    await open()
    const events = await said()
    expect(events).toMatchObject([
      { kind: 'removed', what: 'link', subject: `veth${web.endpoint.id.slice(0, 11)}` },
      { kind: 'recovered', endpoints: 1, refused: [], removed: { links: [expect.any(String)], namespaces: [] } },
    ])
  })

  it('of a sandbox takes its endpoints along, and its namespace is removed', async () => {
    await net.close()
    await damage(`sandboxes/${web.sandbox.id}`, 'hostname')
    await open()
    expect((await refused()).sort()).toEqual([`endpoints/${web.endpoint.id}`, `sandboxes/${web.sandbox.id}`])
    await net.forgetRecord(`sandboxes/${web.sandbox.id}`)
    await net.close()

    await open()
    expect(await said()).toMatchObject([
      { kind: 'undone', what: 'endpoint', name: 'web' },
      { kind: 'removed', what: 'link' },
      { kind: 'removed', what: 'namespace', subject: web.sandbox.key },
      {
        kind: 'recovered',
        ...{ gone: [], undone: { networks: [], endpoints: ['web'], sandboxes: [] } },
        removed: { namespaces: [web.sandbox.key] },
      },
    ])
  })
})

describeKernel('what no record wants', () => {
  it('is told of when it is removed, and what had not come about when it is undone', async () => {
    const half = await net.createNetwork({ name: 'half' })
    const key = join(folder, 'run', net.id, '0123456789ab')
    await net.close()
    await change(`networks/${half.id}`, ({ record, ...rest }) => ({
      ...rest,
      record: { ...record, phase: 'creating' },
    }))
    mkdirSync(join(folder, 'run', net.id), { recursive: true })
    createNamespace(key, () => undefined)
    ip('link', 'add', 'stranger', 'type', 'bridge')
    ip('link', 'set', 'stranger', 'alias', `net:${net.id}`)

    await open()
    expect(await said()).toMatchObject([
      { kind: 'undone', what: 'network', name: 'half' },
      { kind: 'removed', what: 'link', subject: 'stranger' },
      { kind: 'removed', what: 'namespace', subject: key },
      {
        kind: 'recovered',
        undone: { networks: ['half'], endpoints: [], sandboxes: [] },
        removed: { links: ['stranger'], namespaces: [key] },
      },
    ])
  })
})
