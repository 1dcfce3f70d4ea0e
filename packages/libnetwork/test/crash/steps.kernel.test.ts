import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { openController, type Controller } from '../../src/index.ts'
import { traces, type Traces } from '../lab.ts'
import { compareWithHost, refuseNothing } from './host-check.ts'

await enterFreshHost()

/** `NET_STEPS=1 npx vitest run --project kernel packages/libnetwork/test/crash/steps` kills at every system call. */
const STRIDE = Number(process.env.NET_STEPS ?? 25)
const PROGRAM = fileURLToPath(new URL('step.mjs', import.meta.url))

let before: Traces
let folder: string
let kills = 0

beforeAll(() => {
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'crash-'))
})
afterEach(async () => {
  const last = await open('delete')
  await last.close()
  expect(traces()).toEqual(before)
})
afterAll(() => {
  if (process.env.NET_STEPS !== undefined) process.stdout.write(`${kills} kills, none lost, none leaked\n`)
  rmSync(folder, { recursive: true })
})

function open(onClose: 'keep' | 'delete'): Promise<Controller> {
  return openController({ stateDirectory: join(folder, 'state'), runtimeDirectory: join(folder, 'run'), onClose })
}

/** What every operation finds: `old` on the networks blue and red, `free` in no sandbox, and a network without anything. */
async function setUp(controller: Controller): Promise<void> {
  for (const sandbox of controller.sandboxes()) await sandbox.delete()
  for (const network of controller.networks()) {
    for (const endpoint of network.endpoints()) await endpoint.delete({ force: true })
    await network.delete()
  }
  const blue = await controller.createNetwork({ name: 'blue', ipv6: true })
  const red = await controller.createNetwork({ name: 'red' })
  await controller.createNetwork({ name: 'idle', ipv6: true })
  const { sandbox } = await controller.attach({
    network: blue,
    endpoint: { name: 'old', ports: [{ containerPort: 80 }, { protocol: 'udp', containerPort: 53 }] },
    sandbox: { containerId: 'old' },
  })
  await (await red.createEndpoint({ name: 'second' })).join(sandbox)
  const green = await controller.createNetwork({ name: 'green' })
  await green.createEndpoint({ name: 'free' })
}

/** What is there of all that an operation may change. */
function summary(controller: Controller): string {
  const networks = controller.networks().map(({ name }) => name)
  const endpoints = controller.networks().flatMap((network) => network.endpoints())
  const texts = endpoints.map(
    (endpoint) => `${endpoint.name} ${endpoint.sandboxId === undefined ? 'out' : 'in'} ${endpoint.ports().length}`,
  )
  const sandboxes = controller.sandboxes().map(({ containerId }) => containerId)
  return [networks, texts, sandboxes].map((all) => all.sort().join(',')).join(' | ')
}

/** Runs one operation in a process of its own, killed at its nth system call; whether it had so many. */
async function runAndKill(operation: string, nth: number): Promise<boolean> {
  const places = [join(folder, 'state'), join(folder, 'run')]
  const child = spawn(process.execPath, [PROGRAM, ...places, operation, String(nth)], {
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
async function killOnce(operation: string, nth: number): Promise<{ outcome: string; wasKilled: boolean }> {
  const first = await open('keep')
  await setUp(first)
  await first.close()
  const wasKilled = await runAndKill(operation, nth)
  const again = await open('keep')
  try {
    await refuseNothing(again)
    compareWithHost(again, folder)
    return { outcome: summary(again), wasKilled }
  } finally {
    await again.close()
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
    ['rename', 0],
    ['open', 20],
  ])('%s has done that or has not', { timeout: 600_000 }, async (operation, atLeast) => {
    const { outcome: undone } = await killOnce(operation, 1)
    const outcomes = new Set([undone])
    let nth = STRIDE
    for (; ; nth += STRIDE) {
      const { outcome, wasKilled } = await killOnce(operation, nth)
      outcomes.add(outcome)
      if (!wasKilled) break
    }
    expect(nth).toBeGreaterThan(atLeast)
    // Before, and after: nothing between.
    expect([...outcomes].length).toBeLessThanOrEqual(2)
  })
})
