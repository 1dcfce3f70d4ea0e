import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Sandbox } from '@net/libnetwork'
import { withoutPrefixLength } from '@net/types'
import { dockerServer } from './dns/docker-server.ts'
import { ask, type Load } from './dns/dnsperf.ts'
import { aardvarkServer, bareServer, ownServer, type DnsServer } from './dns/responders.ts'
import { collectGarbage, longestStall, median, timed, type Measurement } from './measure.ts'
import type { Subject } from './subject.ts'

const REPETITIONS = 150
const WARM_UP = 30
const ROUNDS = 3
const SECONDS = 2
const NAMES = 200
const SANDBOXES = 1000

/** What a sandbox with a resolver costs beside one without: attached to a network, and alone. */
export async function measureAttachDns(subject: Subject): Promise<Measurement[]> {
  const { controller, networkId: network } = subject
  const attached = await inTurn(subject, (containerId, dns) =>
    controller.attach({ network, endpoint: { name: containerId }, sandbox: { containerId, dns } }),
  )
  const alone = await inTurn(subject, async (containerId, dns) => {
    const sandbox = await controller.createSandbox({ containerId, dns })
    return { detach: () => sandbox.delete() }
  })
  return [
    { name: 'attach-dns', unit: 'ms', ours: attached.withDns, peers: { 'attach-kernel': attached.without } },
    {
      name: 'dns-start',
      unit: 'ms',
      ours: alone.withDns - alone.without,
      note: `a sandbox with a resolver: ${alone.withDns.toFixed(2)} ms, without: ${alone.without.toFixed(2)} ms`,
    },
  ]
}

/** Makes sandboxes with a resolver and without in turn, one after the other; how long each sort took. */
async function inTurn(
  subject: Subject,
  make: (containerId: string, dns: false | undefined) => Promise<{ detach(): Promise<void> }>,
): Promise<{ readonly withDns: number; readonly without: number }> {
  const took = { withDns: [] as number[], without: [] as number[] }
  const made: { detach(): Promise<void> }[] = []
  await subject.settle()
  collectGarbage()
  for (let at = 0; at < WARM_UP + REPETITIONS; at++) {
    for (const sort of ['withDns', 'without'] as const) {
      const ms = await timed(async () => {
        made.push(await make(`${sort}${at}`, sort === 'withDns' ? undefined : false))
      })
      if (at >= WARM_UP) took[sort].push(ms)
    }
  }
  for (const one of made) await one.detach()
  return { withDns: median(took.withDns), without: median(took.without) }
}

interface Place {
  readonly sandbox: Sandbox
  readonly folder: string
  readonly servers: readonly DnsServer[]
}

/** Answers a second, beside a responder in C that looks nothing up and, with peers, aardvark-dns. */
export async function measureDnsRates(subject: Subject, withPeers: boolean): Promise<Measurement[]> {
  const { controller, networkId: network } = subject
  const folder = mkdtempSync(join(tmpdir(), 'net-bench-dns-'))
  const names: { name: string; address: string }[] = []
  for (let at = 0; at < NAMES; at++) {
    const endpoint = { name: `name${at}` }
    const made = await controller.attach({ network, endpoint, sandbox: { containerId: `dns${at}`, dns: false } })
    names.push({ name: endpoint.name, address: withoutPrefixLength(made.endpoint.address ?? '') })
  }
  const { sandbox } = await controller.attach({
    network,
    endpoint: { name: 'asker' },
    sandbox: { containerId: 'asker' },
  })
  const gateway = withoutPrefixLength(controller.getNetwork(network).ipv4?.gateway ?? '')
  const servers: DnsServer[] = [ownServer()]
  try {
    const bare = await bareServer(sandbox, folder)
    if (bare !== undefined) servers.push(bare)
    if (withPeers) {
      servers.push(await aardvarkServer(folder, gateway, names))
      const docker = await dockerServer(folder)
      if (docker !== undefined) servers.push(docker)
    }
    return await measureAll({ sandbox, folder, servers }, names)
  } finally {
    for (const server of servers) await server.close()
    rmSync(folder, { recursive: true })
  }
}

async function measureAll(place: Place, names: readonly { name: string; address: string }[]): Promise<Measurement[]> {
  const [first] = names
  const reversed = (address: string): string => `${address.split('.').reverse().join('.')}.in-addr.arpa`
  const one = [`${first?.name ?? ''} A`]
  const sorts: readonly [string, readonly string[], boolean][] = [
    ['dns-one-name', one, false],
    ['dns-200-names', names.map(({ name }) => `${name} A`), false],
    ['dns-ptr', names.map(({ address }) => `${reversed(address)} PTR`), false],
    ['dns-tcp', one, true],
  ]
  const results: Measurement[] = []
  for (const [name, questions, tcp] of sorts)
    results.push(await measureRate(place, name, { questions, tcp, isOne: questions === one }))
  return [...results, ...(await measureLatency(place, one))]
}

async function measureRate(
  { sandbox, folder, servers }: Place,
  name: string,
  { questions, tcp, isOne }: Pick<Load, 'questions'> & { readonly tcp: boolean; readonly isOne: boolean },
): Promise<Measurement> {
  const rates = new Map<string, number[]>()
  const cpu = new Map<string, number[]>()
  for (let round = 0; round < ROUNDS; round++) {
    for (const server of servers) {
      if ((tcp && server.name === 'bare C') || (server.knowsAll === false && !isOne)) continue
      const before = server.cpuUs()
      const { perSecond } = await ask(sandbox, folder, { ...server, questions, tcp, seconds: SECONDS })
      const after = server.cpuUs()
      push(rates, server.name, perSecond / 1000)
      if (before !== undefined && after !== undefined) push(cpu, server.name, (after - before) / (perSecond * SECONDS))
    }
  }
  const of = (server: string): number => median(rates.get(server) ?? [])
  const floor = rates.has('bare C') ? { floor: of('bare C') } : {}
  const peers = Object.fromEntries(
    servers
      .filter((server) => rates.has(server.name) && !['ours', 'bare C'].includes(server.name))
      .map((server) => [server.name, of(server.name)]),
  )
  const cpus = [...cpu].map(([server, values]) => `${server} ${median(values).toFixed(1)} µs`).join(', ')
  return { name, unit: 'k/s', ours: of('ours'), ...floor, peers, note: `processor a question: ${cpus}` }
}

/** How late the latest answers are under full load, and how long the event loop stands still meanwhile. */
async function measureLatency({ sandbox, folder }: Place, questions: readonly string[]): Promise<Measurement[]> {
  const load = { ...ownServer(), questions, seconds: SECONDS }
  const { p99Ms = Number.NaN, lost } = await ask(sandbox, folder, load, { withLatency: true })
  const stall = await longestStall(() => ask(sandbox, folder, load))
  return [
    { name: 'dns-p99', unit: 'ms', ours: p99Ms, note: `${lost} lost` },
    { name: 'dns-stall', unit: 'ms', ours: stall },
  ]
}

/** What a thousand resolvers take of memory, and whether one of them is slower for it. */
export async function measureManyResolvers({ controller, networkId: network }: Subject): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'net-bench-dns-'))
  try {
    const grown = async (dns: false | undefined): Promise<number> => {
      collectGarbage()
      const before = process.memoryUsage().rss
      for (let at = 0; at < SANDBOXES; at++) {
        await controller.createSandbox({
          containerId: `${dns === false ? 'without' : 'with'}${at}`,
          ...(dns === false ? { dns } : {}),
        })
      }
      collectGarbage()
      return process.memoryUsage().rss - before
    }
    const { sandbox } = await controller.attach({ network, endpoint: { name: 'web' }, sandbox: { containerId: 'web' } })
    const load = { ...ownServer(), questions: ['web A'], seconds: SECONDS }
    const alone = await ask(sandbox, folder, load)
    const without = await grown(false)
    const withDns = await grown(undefined)
    const among = await ask(sandbox, folder, load)
    return [
      { name: 'dns-memory', unit: 'KiB', ours: (withDns - without) / SANDBOXES / 1024 },
      { name: 'dns-among-1000', unit: 'k/s', ours: among.perSecond / 1000, peers: { alone: alone.perSecond / 1000 } },
    ]
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function push(lists: Map<string, number[]>, key: string, value: number): void {
  lists.set(key, [...(lists.get(key) ?? []), value])
}
