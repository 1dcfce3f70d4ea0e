import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryStore, type Store } from '@net/datastore'
import { describeKernel, enterFreshHost, SystemCallFaults } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { openController, type Attachment, type Controller, type Network } from '../src/index.ts'
import { ExternalNamespace } from './external-namespace.ts'
import { traces, type Traces } from './lab.ts'

await enterFreshHost()

let before: Traces
let folder: string
let local: Store
let net: Controller
let network: Network
let faults: SystemCallFaults

beforeEach(async () => {
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'kernel-faults-'))
  local = memoryStore()
  net = await openController({ runtimeDirectory: folder, drift: 'off', stores: { local }, onClose: 'delete' })
  network = await net.createNetwork({ name: 'blue', ipv6: true })
  // Whatever is opened at first use is there already.
  await (await attach('first')).detach()
  await settled()
  faults = new SystemCallFaults()
})
afterEach(async () => {
  faults[Symbol.dispose]()
  await net.close()
  await vi.waitFor(() => {
    expect(traces()).toEqual(before)
  })
  expect(readdirSync(folder)).toEqual([])
  expect(await recordKeys()).toEqual([])
  rmSync(folder, { recursive: true })
})

function attach(name: string): Promise<Attachment> {
  return net.attach({
    network,
    endpoint: {
      name,
      ports: [
        { containerPort: 80, hostPort: 8080 },
        { containerPort: 90, hostPort: 9000 },
      ],
    },
    sandbox: { containerId: name },
  })
}

/** What is recorded. */
async function recordKeys(): Promise<string[]> {
  const { entries } = await local.list('')
  return entries.map(({ key }) => key).filter((key) => !key.startsWith('controllers/'))
}

/** The records are those of what there is, and the kernel has all of it and nothing else. */
async function expectAgreement(round: object): Promise<void> {
  const known = [
    ...net.networks().map(({ id }) => `networks/${id}`),
    ...net.endpoints().map(({ id }) => `endpoints/${id}`),
    ...net.sandboxes().map(({ id }) => `sandboxes/${id}`),
  ]
  const { differences } = await net.describe()
  expect({ round, keys: await recordKeys(), differences }).toEqual({ round, keys: known.sort(), differences: [] })
}

/** What there is: as the controller says, and as the kernel says. */
function everything(): unknown {
  const namespaces = join(folder, net.id)
  return {
    networks: net.networks().map(({ name }) => name),
    sandboxes: net.sandboxes().map((sandbox) => [sandbox.containerId, sandbox.endpoints().map(({ name }) => name)]),
    endpoints: net.networks().flatMap((one) => one.endpoints().map((it) => [it.name, it.interfaceName, it.ports()])),
    namespaces: existsSync(namespaces) ? readdirSync(namespaces) : [],
    ...traces(),
  }
}

/** Resolves when the kernel has reaped what went. */
async function settled(): Promise<unknown> {
  let last: unknown
  await vi.waitFor(() => {
    const now = everything()
    const isSame = JSON.stringify(now) === JSON.stringify(last)
    last = now
    if (!isSame) throw new Error('not settled')
  })
  return last
}

/** What came of something whose nth system call failed, if it has so many. */
interface Outcome<T> {
  readonly made?: T
  readonly error?: Error
  readonly isOver: boolean
}

async function withCallFailing<T>(nth: number, work: () => Promise<T>): Promise<Outcome<T>> {
  faults.failAt(nth)
  const outcome = await work().then(
    (made) => ({ made }),
    (error: unknown) => ({ error: error as Error }),
  )
  faults.heal()
  return { ...outcome, isOver: faults.count < nth }
}

async function expectAll(as: unknown, nth: number): Promise<void> {
  const round = { nth, failed: faults.failed }
  await vi.waitFor(() => {
    expect({ round, ...(everything() as object) }).toEqual({ round, ...(as as object) })
  })
  await expectAgreement(round)
}

/** Makes something with each of its system calls failing in turn: it is there, or nothing is left of it. */
async function makeWithEachCallFailing<T>(
  make: () => Promise<T>,
  unmake: (made: T) => Promise<unknown>,
): Promise<number> {
  const as = await settled()
  for (let nth = 1; ; nth++) {
    const { made, error, isOver } = await withCallFailing(nth, make)
    if (error === undefined) await unmake(made as T)
    // Of a list that is read while the event loop turns, what was lost is an answer that is waited for.
    else expect(error.message).toMatch(/ENOMEM|ENOBUFS|ENOSPC|the kernel sent no answer/)
    await expectAll(as, nth)
    if (isOver) return nth - 1
  }
}

/** Unmakes something with each of its system calls failing in turn: where that is told, doing it again does it. */
async function unmakeWithEachCallFailing<T>(
  make: () => Promise<T>,
  unmake: (made: T) => Promise<unknown>,
): Promise<number> {
  const as = await settled()
  for (let nth = 1; ; nth++) {
    const made = await make()
    const { error, isOver } = await withCallFailing(nth, () => unmake(made))
    if (error !== undefined) await unmake(made)
    await expectAll(as, nth)
    if (isOver) return nth - 1
  }
}

describeKernel('an operation of which one system call fails', () => {
  it('makes a network or nothing', async () => {
    const calls = await makeWithEachCallFailing(
      () => net.createNetwork({ name: 'red', ipv6: true }),
      (made) => made.delete(),
    )
    expect(calls).toBeGreaterThan(8)
  })

  it('attaches a container or nothing', async () => {
    const calls = await makeWithEachCallFailing(
      () => attach('web'),
      (made) => made.detach(),
    )
    expect(calls).toBeGreaterThan(40)
  })

  it('joins a second network or not', async () => {
    const red = await net.createNetwork({ name: 'red', ipv6: true })
    const { sandbox } = await attach('web')
    const endpoint = await red.createEndpoint({ name: 'more' })
    await makeWithEachCallFailing(
      () => endpoint.join(sandbox),
      () => endpoint.leave(sandbox),
    )
  })

  it('publishes ports or none', async () => {
    const { endpoint } = await attach('web')
    await makeWithEachCallFailing(
      () =>
        endpoint.publish([
          { containerPort: 81, hostPort: 8181 },
          { containerPort: 82, hostPort: 8182 },
        ]),
      () => endpoint.unpublish([{ containerPort: 81 }, { containerPort: 82 }]),
    )
  })

  it('deletes a network, at the latest when asked again', async () => {
    await unmakeWithEachCallFailing(
      () => net.createNetwork({ name: 'red', ipv6: true }),
      (made) => made.delete(),
    )
  })

  it('detaches a container, at the latest when asked again', async () => {
    await unmakeWithEachCallFailing(
      () => attach('web'),
      ({ sandbox }) => sandbox.delete(),
    )
  })

  it('leaves a network, at the latest when asked again', async () => {
    const red = await net.createNetwork({ name: 'red', ipv6: true })
    const { sandbox } = await attach('web')
    await unmakeWithEachCallFailing(
      async () => {
        const endpoint = await red.createEndpoint({ name: 'more' })
        await endpoint.join(sandbox)
        return endpoint
      },
      async (endpoint) => {
        if (endpoint.sandboxId !== undefined) await endpoint.leave(sandbox)
        await endpoint.delete()
      },
    )
  })

  it('takes ports back, at the latest when asked again', async () => {
    const { endpoint } = await attach('web')
    const ports = [{ containerPort: 81 }, { protocol: 'udp', containerPort: 82, containerPortEnd: 86 }] as const
    await unmakeWithEachCallFailing(
      () => endpoint.publish(ports.map((port, at) => ({ ...port, hostPort: 8181 + at }))),
      async () => {
        // What was taken back, was.
        const left = ports.filter(({ containerPort }) =>
          endpoint.ports().some((port) => port.containerPort === containerPort),
        )
        if (left.length > 0) await endpoint.unpublish(left)
      },
    )
  })

  it('brings a namespace or not, and then another', async () => {
    const container = await ExternalNamespace.open()
    const sandbox = await net.createSandbox({ containerId: 'brought', key: false })
    await (await network.createEndpoint({ name: 'brought', ports: [{ containerPort: 80 }] })).join(sandbox)
    for (let nth = 1; ; nth++) {
      const { error, isOver } = await withCallFailing(nth, () => sandbox.setKey(container.path))
      if (error !== undefined)
        await vi.waitFor(() => {
          expect(container.links()).toEqual([])
        })
      const round = { nth, failed: faults.failed }
      if (error === undefined) expect({ round, links: container.links() }).toEqual({ round, links: ['eth0'] })
      await vi.waitFor(() => expectAgreement(round))
      if (isOver) break
    }
    await sandbox.delete()
    await vi.waitFor(() => {
      expect(container.links()).toEqual([])
    })
    expect(container.rules()).toBe('')
    await container.close()
  })

  it('refreshes a sandbox or not', async () => {
    const { sandbox } = await attach('web')
    const texts = (): string[] => {
      const { hosts, resolvConf, hostname } = sandbox.files
      return [hosts, resolvConf, hostname].map((path) => readFileSync(path, 'utf8'))
    }
    const before = texts()
    for (let nth = 1; ; nth++) {
      const { error, isOver } = await withCallFailing(nth, () => sandbox.refresh({ hostname: `other${nth}` }))
      const round = { nth, failed: faults.failed }
      expect({ round, hostname: texts()[2] }).toEqual({
        round,
        hostname: error === undefined ? `other${nth}\n` : before[2],
      })
      await expectAgreement(round)
      await sandbox.refresh({})
      expect(texts()).toEqual(before)
      if (isOver) break
    }
    expect(await sandbox.resolveName('web')).not.toEqual([])
  })
})
