import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bridgeDriver } from '@net/drivers-bridge'
import type { JoinPlan, NetworkDriver, NetworkPlan } from '@net/driverapi'
import { ip, nftRuleset } from '@net/netlink-ffi/testing'
import { expect } from 'vitest'
import {
  openController,
  type Attachment,
  type Controller,
  type ControllerOptions,
  type Endpoint,
  type Network,
  type Sandbox,
} from '../src/index.ts'

/** A bridge driver whose plans a test can spoil: the kernel itself then makes a step fail. */
export function spoiledDriver(spoil: {
  network?: (plan: NetworkPlan) => NetworkPlan
  join?: (plan: JoinPlan) => JoinPlan
}): NetworkDriver {
  const bridge: NetworkDriver = bridgeDriver()
  return {
    ...bridge,
    type: 'spoiled',
    planNetwork: (network) => (spoil.network ?? ((plan) => plan))(bridge.planNetwork(network)),
    planEndpoint: (...records) => (spoil.join ?? ((plan) => plan))(bridge.planEndpoint(...records)),
  }
}

/** What the kernel holds that a controller could leave behind. */
export interface Traces {
  readonly links: readonly string[]
  readonly rules: unknown
}

export function traces(): Traces {
  return { links: (ip('link', 'show') as { ifname: string }[]).map(({ ifname }) => ifname), rules: elements() }
}

/** A network with addresses of both families that tests can tell beforehand. */
export const bothFamilies = {
  name: 'network1',
  ipam: { pools: [{ pool: '10.8.0.0/24' }, { pool: 'fd08::/64' }] },
} as const

/** A set or a map, as `nft` has it. */
interface SetOfRules {
  readonly family: string
  readonly name: string
  readonly elem?: unknown
}

/** The ruleset without the handles that count up with every change. */
function elements(): unknown {
  const { nftables } = nftRuleset() as { nftables: Record<string, SetOfRules>[] }
  // In an order that does not tell which table was put in place last.
  const sets = nftables.flatMap((item) => item.map ?? item.set ?? []).sort((a, b) => a.family.localeCompare(b.family))
  return sets.map(({ name, elem }) => ({ name, elem }))
}

/** Closes the controller and looks for what it left. */
export async function expectNothingLeft(controller: Controller, before: Traces): Promise<void> {
  await controller.close()
  expect(traces()).toEqual(before)
  expect(existsSync(`/run/net/${controller.id}`)).toBe(false)
}

/** A folder of controllers that are opened one after another, and the host as it was before the first. */
export class StateFolder {
  readonly path: string
  readonly before = traces()

  constructor(name: string) {
    this.path = mkdtempSync(join(tmpdir(), `${name}-`))
  }

  get places(): { readonly stateDirectory: string; readonly runtimeDirectory: string } {
    return { stateDirectory: join(this.path, 'state'), runtimeDirectory: join(this.path, 'run') }
  }

  /** Has a last controller delete what the others kept, looks for what is left, and removes the folder. */
  async expectNothingLeft(options: ControllerOptions = {}): Promise<void> {
    const last = await openController({ ...this.places, ...options, onClose: 'delete' })
    await last.close()
    expect(traces()).toEqual(this.before)
    const { runtimeDirectory } = this.places
    expect(existsSync(runtimeDirectory) ? readdirSync(runtimeDirectory) : []).toEqual([])
    rmSync(this.path, { recursive: true })
  }
}

/** A container of that name with a published port. */
export function attachPublished(net: Controller, network: Network | string, name: string): Promise<Attachment> {
  return net.attach({
    network,
    endpoint: { name, ports: [{ containerPort: 80 }] },
    sandbox: { containerId: name },
  })
}

/** A container of that name with a published port, and a range of a hundred. */
export function attachWithRange(net: Controller, network: Network, name: string): Promise<Attachment> {
  return net.attach({
    network,
    endpoint: { name, ports: [{ containerPort: 80 }, { containerPort: 8000, containerPortEnd: 8099 }] },
    sandbox: { containerId: name },
  })
}

/** Where the host asks for the first published port. */
export function urlOf(endpoint: Endpoint): string {
  return `http://127.0.0.1:${endpoint.ports()[0]?.hostPort ?? 0}/`
}

/** A container that answers `hello` at `url` until it is disposed of. */
export interface Web extends Attachment, AsyncDisposable {
  readonly network: Network
  readonly url: string
}

/** Makes the network `blue` with the container `web`, which answers on a published port. */
export async function openWeb(net: Controller, options: { readonly ipv6?: boolean } = {}): Promise<Web> {
  const network = await net.createNetwork({ name: 'blue', ...options })
  const attached = await attachPublished(net, network, 'web')
  const server = await serve(attached.sandbox, 'hello')
  return {
    ...attached,
    network,
    url: urlOf(attached.endpoint),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** What a program prints that runs in the sandbox. */
export async function outputOf(sandbox: Sandbox, command: string, args: readonly string[]): Promise<string> {
  const child = sandbox.spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  if (child.stdout === null) throw new Error('no output to wait for')
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  await once(child, 'close')
  return text
}

const SERVER = `
  const server = require('http').createServer((request, response) => response.end(process.argv[1]))
  server.listen(80, '::', () => console.log('ready'))
`

/** Starts an HTTP server in the sandbox that answers `body`, and waits until it listens. */
export async function serve(sandbox: Sandbox, body: string): Promise<AsyncDisposable> {
  const child = sandbox.spawn(process.execPath, ['-e', SERVER, body], { stdio: ['ignore', 'pipe', 'inherit'] })
  if (child.stdout === null) throw new Error('no output to wait for')
  await once(child.stdout, 'data')
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill()
      await once(child, 'exit')
    },
  }
}

const FETCH = `
  fetch(process.argv[1], { signal: AbortSignal.timeout(Number(process.argv[2])) })
    .then((response) => response.text())
    .then(console.log, (error) => console.log('failed: ' + (error.cause?.code ?? error.name)))
    .finally(() => process.exit()) // a connection attempt that was given up would keep it alive
`

/** Fetches `url` from inside the sandbox: the body, or `failed: …`. */
export async function fetchFrom(sandbox: Sandbox, url: string, timeoutMs = 10_000): Promise<string> {
  return (await outputOf(sandbox, process.execPath, ['-e', FETCH, url, String(timeoutMs)])).trim()
}

/** Fetches `url` from the host, over a connection of its own: one that is open outlives its publication. */
export function fetchFromHost(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      response.once('end', () => {
        resolve(text)
      })
    }).once('error', reject)
  })
}

/** The address without its prefix length. */
export function plain(cidr: string | undefined): string {
  return (cidr ?? '').replace(/\/.*/, '')
}
