import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { get } from 'node:http'
import { bridgeDriver } from '@net/drivers-bridge'
import type { JoinPlan, NetworkDriver, NetworkPlan } from '@net/driverapi'
import { ip, nftRuleset } from '@net/netlink-ffi/testing'
import { expect } from 'vitest'
import type { Controller, Sandbox } from '../src/index.ts'

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

/** The ruleset without the handles that count up with every change. */
function elements(): unknown {
  const { nftables } = nftRuleset() as { nftables: Record<string, { elem?: unknown; name?: string }>[] }
  return nftables.flatMap((item) => item.map ?? item.set ?? []).map(({ name, elem }) => ({ name, elem }))
}

/** Closes the controller and looks for what it left. */
export async function expectNothingLeft(controller: Controller, before: Traces): Promise<void> {
  await controller.close()
  expect(traces()).toEqual(before)
  expect(existsSync(`/run/net/${controller.id}`)).toBe(false)
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
