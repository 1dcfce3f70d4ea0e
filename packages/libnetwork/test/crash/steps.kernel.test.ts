import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { openController, type Controller, type FilePaths } from '../../src/index.ts'
import { ExternalNamespace } from '../external-namespace.ts'
import { traces, type Traces } from '../lab.ts'
import {
  compareWithEmpty,
  compareWithHost,
  compareWithNothing,
  readRecords,
  recordsOf,
  refuseNothing,
} from './host-check.ts'

await enterFreshHost()

/** `NET_STEPS=1 npx vitest run --project kernel packages/libnetwork/test/crash/steps` kills at every system call. */
const STRIDE = Number(process.env.NET_STEPS ?? 25)
const PROGRAM = fileURLToPath(new URL('step.mjs', import.meta.url))

let before: Traces
let folder: string
/** Two namespaces that go on, whatever becomes of controllers. */
let others: readonly ExternalNamespace[]
let kills = 0

beforeAll(async () => {
  others = await Promise.all([ExternalNamespace.open(), ExternalNamespace.open()])
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'crash-'))
})
afterEach(async () => {
  const last = await open('delete')
  await last.close()
  expect(traces()).toEqual(before)
  await compareWithNothing(others)
  expect(await readRecords(join(folder, 'state'))).toEqual([])
  compareWithEmpty(join(folder, 'run'))
})
afterAll(async () => {
  await Promise.all(others.map((namespace) => namespace.close()))
  if (process.env.NET_STEPS !== undefined) process.stdout.write(`${kills} kills, none lost, none leaked\n`)
  rmSync(folder, { recursive: true })
})

function open(onClose: 'keep' | 'delete'): Promise<Controller> {
  return openController({ stateDirectory: join(folder, 'state'), runtimeDirectory: join(folder, 'run'), onClose })
}

/** What every operation finds: `old` on the networks blue and red, `free` in no sandbox, and a network without anything. */
async function setUp(controller: Controller): Promise<void> {
  await clear(controller)
  const blue = await controller.createNetwork({ name: 'blue', ipv6: true })
  const red = await controller.createNetwork({ name: 'red' })
  await controller.createNetwork({ name: 'idle', ipv6: true })
  const { sandbox } = await controller.attach({
    network: blue,
    endpoint: { name: 'old', ports },
    sandbox: { containerId: 'old', hostname: 'old', extraHosts: { before: '192.0.2.7' } },
  })
  expect(sandbox.files.hosts).not.toBe('')
  await (await red.createEndpoint({ name: 'second' })).join(sandbox)
  const green = await controller.createNetwork({ name: 'green' })
  await green.createEndpoint({ name: 'free' })
}

const ports = [{ containerPort: 80 }, { protocol: 'udp', containerPort: 53 }] as const

/** What operations on namespaces of others find: `given` is in the first of them, `waiting` in none, on two networks each. */
async function setUpGiven(controller: Controller): Promise<void> {
  await clear(controller)
  const blue = await controller.createNetwork({ name: 'blue', ipv6: true })
  const red = await controller.createNetwork({ name: 'red' })
  for (const [containerId, key] of [
    ['given', others[0]?.path ?? ''],
    ['waiting', false],
  ] as const) {
    const sandbox = await controller.createSandbox({ containerId, key })
    await (await blue.createEndpoint({ name: containerId, ports })).join(sandbox)
    await (await red.createEndpoint({ name: `${containerId}-second` })).join(sandbox)
  }
  const green = await controller.createNetwork({ name: 'green' })
  await green.createEndpoint({ name: 'free' })
}

async function clear(controller: Controller): Promise<void> {
  for (const sandbox of controller.sandboxes()) await sandbox.delete()
  for (const network of controller.networks()) {
    for (const endpoint of network.endpoints()) await endpoint.delete({ force: true })
    await network.delete()
  }
}

/** What is there of all that an operation may change. */
async function summary(controller: Controller): Promise<string> {
  const networks = controller.networks().map(({ name }) => name)
  const endpoints = controller.networks().flatMap((network) => network.endpoints())
  const texts = endpoints.map(
    (endpoint) => `${endpoint.name} ${endpoint.sandboxId === undefined ? 'out' : 'in'} ${endpoint.ports().length}`,
  )
  const { sandboxes: described } = await controller.describe()
  const sandboxes = described.map(({ containerId, key, namespace = 'own' }) => {
    return `${containerId} ${namespace} ${others.findIndex((other) => other.isAt(key))}`
  })
  const hosts = controller.sandboxes().map(({ containerId, files }) => `${containerId} ${namesIn(files)}`)
  return [networks, texts, sandboxes, hosts].map((all) => all.sort().join(',')).join(' | ')
}

/** The names that the files of a sandbox tell; those of sandboxes without one are their ids. */
function namesIn({ hosts, hostname }: FilePaths): string {
  const lines = readFileSync(hosts, 'utf8').split('\n').slice(0, -1)
  const names = [readFileSync(hostname, 'utf8').trim(), ...lines.map((line) => line.split('\t')[1] ?? '')]
  return names.map((name) => name.replace(/^[0-9a-f]{12}$/, 'id')).join(' ')
}

/** Runs one operation in a process of its own, killed at its nth system call; whether it had so many. */
async function runAndKill(operation: string, nth: number): Promise<boolean> {
  const places = [join(folder, 'state'), join(folder, 'run')]
  const keys = others.map(({ path }) => path)
  const child = spawn(process.execPath, [PROGRAM, ...places, operation, String(nth), ...keys], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  const [, signal] = (await once(child, 'close')) as [number, string]
  expect(signal).toBe('SIGKILL')
  kills++
  return !output.startsWith('done')
}

/** Sets all up, kills an operation at its nth system call, and looks at what is left of it. */
async function killOnce(
  operation: string,
  nth: number,
  prepare: (controller: Controller) => Promise<void>,
): Promise<{ outcome: string; wasKilled: boolean }> {
  {
    await using first = await open('keep')
    await prepare(first)
  }
  const wasKilled = await runAndKill(operation, nth)
  await using again = await open('keep')
  await refuseNothing(again)
  await compareWithHost(again, folder, { others })
  const outcome = await summary(again)
  const records = recordsOf(again)
  await again.close()
  expect(await readRecords(join(folder, 'state'))).toEqual(records)
  return { outcome, wasKilled }
}

/** Kills an operation at one system call after another; how many it makes, and what there was after each. */
async function killAtEach(
  operation: string,
  prepare: (controller: Controller) => Promise<void>,
): Promise<{ readonly calls: number; readonly outcomes: readonly string[] }> {
  const { outcome: undone } = await killOnce(operation, 1, prepare)
  const outcomes = new Set([undone])
  for (let nth = STRIDE; ; nth += STRIDE) {
    const { outcome, wasKilled } = await killOnce(operation, nth, prepare)
    outcomes.add(outcome)
    if (!wasKilled) return { calls: nth, outcomes: [...outcomes] }
  }
}

describeKernel('a process that is killed at a system call of its', () => {
  it.each([
    ['createNetwork', 8],
    ['deleteNetwork', 4],
    ['attach', 40],
    ['detach', 8],
    ['join', 20],
    ['leave', 8],
    ['publish', 8],
    ['unpublish', 4],
    ['createSandbox', 8],
    ['createEndpoint', 0],
    ['deleteEndpoint', 8],
    ['refresh', 8],
    ['rename', 0],
    ['open', 20],
  ])('%s has done that or has not', { timeout: 600_000 }, async (operation, atLeast) => {
    const { calls, outcomes } = await killAtEach(operation, setUp)

    expect(calls).toBeGreaterThan(atLeast)
    // Before, and after: nothing between.
    expect(outcomes.length).toBeLessThanOrEqual(2)
  })

  it('forceNetwork has done that, or one thing after another of it', { timeout: 600_000 }, async () => {
    const { calls, outcomes } = await killAtEach('forceNetwork', setUp)

    expect(calls).toBeGreaterThan(8)
    // Its endpoint goes first.
    expect(outcomes.length).toBeLessThanOrEqual(3)
  })

  it.each([
    ['createGiven', 20, 2],
    ['attachGiven', 40, 2],
    ['setKey', 40, 2],
    // Out of the one, in none, in the other: it waits, as where the other refuses.
    ['setAnotherKey', 60, 3],
    ['joinGiven', 20, 2],
    ['leaveGiven', 8, 2],
    ['detachGiven', 8, 2],
  ])(
    '%s has done that or has not, and leaves nothing in namespaces of others',
    { timeout: 3_600_000 },
    async (operation, atLeast, atMost) => {
      const { calls, outcomes } = await killAtEach(operation, setUpGiven)

      expect(calls).toBeGreaterThan(atLeast)
      expect(outcomes.length).toBeLessThanOrEqual(atMost)
    },
  )
})
