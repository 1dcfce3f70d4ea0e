import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Endpoint, Sandbox } from '@net/libnetwork'
import { createNamespace, deleteNamespace, inNamespaceAt } from '@net/netlink-ffi'
import type { Measurement } from './measure.ts'
import { ip, Outside, startAt, type Start } from './outside.ts'
import type { Subject } from './subject.ts'

const PAIRS = 12
const SECONDS = 1
const PORT = 5201
const HOST_PORT = 6201
const MANY = 10_000
const BATCH = 500
const GIB = 2 ** 30

/** A path from a client to a server. */
interface Route {
  readonly client: Start
  readonly address: string
  readonly port: number
}

/** What one transfer says. */
interface Transfer {
  readonly gigabits: number
  readonly cpuSecondsPerGib: number
}

/**
 * Throughput through a published port and between two containers, beside the same paths made by hand on a host of
 * their own, with `ip` and one rule of `nft`: in pairs, one after the other, the first of each pair in turn. The
 * difference is given with half of its interval (95 %, of the pairs' mean).
 */
export async function measureThroughput(subject: Subject): Promise<Measurement[]> {
  await using hand = await HandMade.open(join(subject.folder, 'hand'))
  await using outside = Outside.open(join(subject.folder, 'outside'))
  const { controller, networkId: network } = subject
  const endpoint = { name: 'server', address: '10.90.0.2', ports: [{ containerPort: PORT, hostPort: HOST_PORT }] }
  const server = await controller.attach({ network, endpoint, sandbox: { containerId: 'server' } })
  const client = await controller.attach({
    ...{ network, endpoint: { name: 'client' }, sandbox: { containerId: 'client' } },
  })
  await using _server = await serve(startIn(server.sandbox))

  const published = { client: outside.start, address: '192.0.2.1', port: HOST_PORT }
  const direct = { client: startIn(client.sandbox), address: '10.90.0.2', port: PORT }
  const results = [
    ...(await compare('published', published, hand.published)),
    ...(await compare('containers', direct, hand.direct)),
  ]
  await publishMany(server.endpoint)
  results.push(...(await compare(`published-of-${MANY}`, published, hand.published)))
  await client.detach()
  await server.detach()
  await subject.settle()
  return results
}

async function publishMany(endpoint: Endpoint): Promise<void> {
  for (let first = 0; first < MANY; first += BATCH) {
    await endpoint.publish(
      Array.from({ length: BATCH }, (_, at) => ({ containerPort: 80, hostPort: 20_000 + 2 * (first + at) })),
    )
  }
}

async function compare(name: string, ours: Route, theirs: Route): Promise<Measurement[]> {
  const pairs: { readonly ours: Transfer; readonly theirs: Transfer }[] = []
  await transfer(ours)
  await transfer(theirs)
  for (let at = 0; at < PAIRS; at++) {
    const first = await transfer(at % 2 === 0 ? ours : theirs)
    const second = await transfer(at % 2 === 0 ? theirs : ours)
    pairs.push(at % 2 === 0 ? { ours: first, theirs: second } : { ours: second, theirs: first })
  }
  return [
    difference(`throughput-${name}`, 'Gb/s', pairs, ({ gigabits }) => gigabits),
    difference(`throughput-${name}-cpu`, 's/GiB', pairs, ({ cpuSecondsPerGib }) => cpuSecondsPerGib),
  ]
}

function difference(
  name: string,
  unit: 'Gb/s' | 's/GiB',
  pairs: readonly { readonly ours: Transfer; readonly theirs: Transfer }[],
  of: (transfer: Transfer) => number,
): Measurement {
  const differences = pairs.map(({ ours, theirs }) => of(ours) - of(theirs))
  const mean = meanOf(differences)
  const variance = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (differences.length - 1)
  // Student's t of 95 % for eleven degrees of freedom: one less than there are pairs.
  const interval = 2.201 * Math.sqrt(variance / differences.length)
  return {
    ...{ name, unit, ours: meanOf(pairs.map(({ ours }) => of(ours))) },
    floor: meanOf(pairs.map(({ theirs }) => of(theirs))),
    peers: { 'mean difference': mean, 'within ±': interval },
  }
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

interface IperfReport {
  readonly end: {
    readonly sum_received: { readonly bits_per_second: number; readonly bytes: number; readonly seconds: number }
    readonly cpu_utilization_percent: { readonly host_total: number; readonly remote_total: number }
  }
}

/** One transfer. Its time on the processor is that of both programs, and of the kernel in their name. */
async function transfer({ client, address, port }: Route): Promise<Transfer> {
  const program = client('iperf3', '-c', address, '-p', String(port), '-t', String(SECONDS), '-J')
  let text = ''
  program.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(program, 'close')
  const { end } = JSON.parse(text) as Partial<IperfReport>
  if (end === undefined) throw new Error(`iperf3 to ${address}:${port}: ${text}`)
  const { sum_received: received, cpu_utilization_percent: cpu } = end
  return {
    gigabits: received.bits_per_second / 1e9,
    cpuSecondsPerGib: (((cpu.host_total + cpu.remote_total) / 100) * received.seconds * GIB) / received.bytes,
  }
}

async function serve(start: Start): Promise<AsyncDisposable> {
  const program = start('iperf3', '-s', '-p', String(PORT), '--forceflush')
  if (program.stdout !== null) await once(program.stdout, 'data')
  return {
    [Symbol.asyncDispose]: async () => {
      program.kill()
      await once(program, 'exit')
    },
  }
}

function startIn(sandbox: Sandbox): Start {
  return (command, ...args) => sandbox.spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })
}

/** All that publishing a port takes, as somebody writes it who wants nothing else. */
const ONE_RULE = `table ip hand {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    tcp dport ${HOST_PORT} dnat to 10.93.0.2:${PORT}
  }
}
`

/** The paths made by hand: a host, a bridge, two containers and a machine outside. */
class HandMade implements AsyncDisposable {
  readonly published: Route
  readonly direct: Route
  readonly #paths: readonly string[]
  readonly #owned: readonly AsyncDisposable[]

  private constructor(paths: readonly string[], outside: Outside, client: string, owned: readonly AsyncDisposable[]) {
    this.#paths = paths
    this.#owned = owned
    this.published = { client: outside.start, address: '192.0.2.1', port: HOST_PORT }
    this.direct = { client: startAt(client), address: '10.93.0.2', port: PORT }
  }

  static async open(path: string): Promise<HandMade> {
    const [host, server, client] = [`${path}-host`, `${path}-server`, `${path}-client`]
    for (const one of [host, server, client]) createNamespace(one, () => undefined)
    inNamespaceAt(host, () => {
      writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
    })
    ip(host, 'link', 'add', 'br0', 'type', 'bridge')
    ip(host, 'addr', 'add', '10.93.0.1/24', 'dev', 'br0')
    ip(host, 'link', 'set', 'br0', 'up')
    for (const [at, one] of [server, client].entries()) {
      ip(host, 'link', 'add', `to-${at}`, 'master', 'br0', 'up', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', one)
      ip(one, 'addr', 'add', `10.93.0.${at + 2}/24`, 'dev', 'eth0')
      ip(one, 'link', 'set', 'eth0', 'up')
      ip(one, 'route', 'add', 'default', 'via', '10.93.0.1')
    }
    execFileSync('nsenter', [`--net=${host}`, 'nft', ONE_RULE])
    const outside = Outside.open(`${path}-outside`, host)
    return new HandMade([host, server, client], outside, client, [await serve(startAt(server)), outside])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#owned) await one[Symbol.asyncDispose]()
    for (const path of this.#paths) deleteNamespace(path)
  }
}
