import { stat } from 'node:fs/promises'
import { enterNewNamespace, RouteSocket, setLink } from '@net/netlink-ffi'
import { Command, InvalidArgumentError, Option } from 'commander'
import { measureBitseq } from './allocators/bitseq-bench.ts'
import { measureDurableOpening, measureDurableRequests } from './allocators/durable-bench.ts'
import { fills, measureIpam } from './allocators/ipam-bench.ts'
import { measureAttach } from './attach-bench.ts'
import { measureAttachDns, measureDnsRates, measureManyResolvers } from './dns-bench.ts'
import { measureDurableAttach } from './durable-attach-bench.ts'
import { fetchDocker } from './dns/docker-server.ts'
import { dnsTools } from './dns/responders.ts'
import { measureBesideFlood } from './dns/flood-bench.ts'
import type { Measurement } from './measure.ts'
import { measureHolding } from './hold-bench.ts'
import { measureCreateNetwork } from './network-bench.ts'
import { attachPeers, installPackages, type DebianPackage } from './peers/install.ts'
import { measurePublish } from './publish-bench.ts'
import { measureStalls } from './stall-bench.ts'
import { measureRanges } from './range-bench.ts'
import { measureOpening, measureRepair } from './restart-bench.ts'
import { measureSlopes } from './slope-bench.ts'
import { openSubject, type PortAllocatorOptions, type Subject } from './subject.ts'
import { formatMeasurement, heading } from './table.ts'
import { measureThroughput } from './throughput-bench.ts'
import { measureTrafficOverRestarts } from './traffic-bench.ts'

const FEW = 10
const MANY = 10_000

interface Bench {
  /** The measurements it makes, or what their names begin with. */
  readonly names: readonly string[]
  /** How the subject holds ports. @defaultValue as controllers do that nothing is said to */
  readonly ports?: PortAllocatorOptions
  /** Programs of the system that it starts. */
  packages?(withPeers: boolean): readonly DebianPackage[]
  measure(subject: Subject, withPeers: boolean): Promise<Measurement[]>
}

/** Benches of what touches no kernel: they need neither root nor a host. */
const allocatorBenches: readonly { readonly names: readonly string[]; measure(): Promise<Measurement[]> }[] = [
  { names: ['bitseq'], measure: measureBitseq },
  { names: fills.map((fill) => `ipam-${fill}`), measure: measureIpam },
  { names: ['ipam-durable'], measure: measureDurableRequests },
  { names: ['ipam-open', 'ipam-read-all'], measure: measureDurableOpening },
]

const peersOfAttaching = (withPeers: boolean): readonly DebianPackage[] => (withPeers ? attachPeers : [])
const iperf3: DebianPackage = { path: '/usr/bin/iperf3', name: 'iperf3' }

const benches: readonly Bench[] = [
  { names: ['create-network'], measure: measureCreateNetwork },
  {
    names: ['attach-kernel', 'detach'],
    packages: peersOfAttaching,
    measure: (subject, withPeers) => measureAttach(subject, { withPort: false, withPeers }),
  },
  {
    names: ['attach-kernel-port'],
    packages: peersOfAttaching,
    measure: (subject, withPeers) => measureAttach(subject, { withPort: true, withPeers }),
  },
  {
    names: ['attach-durable', 'attach-durable-64-at-once'],
    packages: peersOfAttaching,
    measure: measureDurableAttach,
  },
  { names: ['open-records', 'open-stall', 'open-delete-all'], measure: measureOpening },
  { names: ['open-repair'], measure: measureRepair },
  {
    names: ['restart-stream', 'restart-http', 'restart-names'],
    packages: () => [iperf3],
    measure: measureTrafficOverRestarts,
  },
  { names: ['attach-dns', 'dns-start'], measure: measureAttachDns },
  {
    names: ['dns-one-name', 'dns-200-names', 'dns-ptr', 'dns-tcp', 'dns-p99', 'dns-stall'],
    packages: dnsTools,
    measure: measureDnsRates,
  },
  { names: ['dns-beside-flood'], packages: dnsTools, measure: measureBesideFlood },
  { names: ['dns-memory', 'dns-among-1000'], packages: dnsTools, measure: measureManyResolvers },
  { names: [`publish-${FEW}`, `unpublish-${FEW}`], measure: (subject) => measurePublish(subject, FEW) },
  { names: [`publish-${MANY}`, `unpublish-${MANY}`], measure: (subject) => measurePublish(subject, MANY) },
  {
    names: ['ports-attach-1', 'ports-attach-range', 'ports-attach-1000-apart', 'ports-publish', 'ports-memory'],
    ports: { holdAtMost: 0 },
    measure: measureRanges,
  },
  { names: ['hold'], measure: measureHolding },
  { names: ['slope', 'memory'], measure: measureSlopes },
  {
    names: ['throughput'],
    ports: { holdAtMost: 0 },
    packages: (withPeers) => (withPeers || asksForThroughput() ? [iperf3] : []),
    measure: (subject, withPeers) => (withPeers || asksForThroughput() ? measureThroughput(subject) : noMeasurements),
  },
  { names: ['stall-single', 'stall-1000-attaches', '1000-attaches-at-once'], measure: measureStalls },
]
/** It takes minutes, and a program of its own: only where it is asked for. */
const asksForThroughput = (): boolean => options.only.includes('throughput')
const noMeasurements = Promise.resolve([])
const names = [
  ...[...allocatorBenches, ...benches].flatMap((bench) => bench.names),
  'ipam',
  'open',
  'restart',
  'publish',
  'unpublish',
  'ports',
  'dns',
]

const program = new Command('npm run bench --')
  .description('Measures in one run, medians: ours, the floor (the same kernel work as prepared messages) and peers.')
  .option('--json', 'one JSON object a line: { name, unit, ours, floor?, peers? }')
  .addOption(
    new Option('--only <name>', `only what bears this name, which can be said of several: ${names.join(', ')}`)
      .argParser((name, others: readonly string[]) => {
        if (names.includes(name)) return [...others, name]
        throw new InvalidArgumentError(`Known: ${names.join(', ')}.`)
      })
      .default([], 'all'),
  )
  .option(
    '--peers',
    'measure netavark, the CNI plugins, aardvark-dns and dockerd too (Debian packages, fetched when missing)',
  )
  .parse()
const options = program.opts<{ json?: boolean; only: readonly string[]; peers?: boolean }>()

const wanted = (name: string): boolean =>
  options.only.length === 0 || options.only.some((one) => name === one || name.startsWith(`${one}-`))
const needsHost = benches.some((bench) => bench.names.some(wanted))
if (needsHost && process.getuid?.() !== 0) program.error('bench: needs root: it makes network namespaces')
await stat('/') // the pool's threads are born at home, before the host of our own is entered
const print = (measurement: Measurement): void => {
  console.log(options.json === true ? JSON.stringify(measurement) : formatMeasurement(measurement))
}

if (options.json !== true) console.log(heading)
for (const bench of allocatorBenches) {
  if (!bench.names.some(wanted)) continue
  for (const measurement of await bench.measure()) if (wanted(measurement.name)) print(measurement)
}

if (needsHost) {
  // From in there, nothing can be fetched.
  const withPeers = options.peers ?? false
  const used = benches.filter((bench) => bench.names.some(wanted))
  installPackages(used.flatMap((bench) => bench.packages?.(withPeers) ?? []))
  if (withPeers && wanted('dns-one-name')) fetchDocker()
  enterNewNamespace()
  using routes = RouteSocket.open()
  routes.apply(setLink('lo', { up: true }))
}
for (const bench of benches) {
  if (!bench.names.some(wanted)) continue
  await using subject = await openSubject(bench.ports)
  for (const measurement of await bench.measure(subject, options.peers ?? false))
    if (wanted(measurement.name)) print(measurement)
}
