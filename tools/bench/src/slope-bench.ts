import { setImmediate } from 'node:timers/promises'
import { hostName, prepareOne } from './attach-bench.ts'
import * as floor from './floor.ts'
import { collectGarbage, median, timed, type Measurement } from './measure.ts'
import type { Subject } from './subject.ts'

const CONTAINERS = 1000
const NETWORKS = 200
/** So many measurements at either end are compared. */
const ENDS = 50
const WARM_UP = 50
const PUBLICATIONS = 200
const PUBLISH_WARM_UP = 400

type Attachment = Awaited<ReturnType<Subject['controller']['attach']>>

/** What attach, detach and publish cost more for each container that is on the network already, and each network. */
export async function measureSlopes(subject: Subject): Promise<Measurement[]> {
  await warmUp(subject)
  const onOne = await measureContainers(subject)
  const onMany = await measureNetworks(subject)
  return [...onOne, ...onMany]
}

async function warmUp(subject: Subject): Promise<void> {
  const attachments: Attachment[] = []
  for (let at = 0; at < WARM_UP; at++) attachments.push(await attach(subject, subject.networkId, `w${at}`))
  const [first] = attachments
  if (first !== undefined) await publishTimes(first, PUBLISH_WARM_UP)
  for (const attachment of attachments) await attachment.detach()
  await subject.settle()
}

/**
 * Ours, and when they are gone the floor's: the kernel's own work grows with the ports of a bridge, and with what the
 * containers of another one have it do at the same time.
 */
async function measureContainers(subject: Subject): Promise<Measurement[]> {
  const attachments: Attachment[] = []
  const attaching: number[] = []
  const before = usedMemory()
  let publishingFirst: number[] = []
  for (let at = 0; at < CONTAINERS; at++) {
    attaching.push(await timed(async () => attachments.push(await attach(subject, subject.networkId, `c${at}`))))
    const [first] = attachments
    if (at === 0 && first !== undefined) publishingFirst = await publishTimes(first, PUBLICATIONS)
  }
  const after = usedMemory()
  const [first] = attachments
  const publishingLast = first === undefined ? [] : await publishTimes(first, PUBLICATIONS)
  const detaching = await detachAll(subject, attachments)
  const bare = await measureFloor(subject)
  const between = CONTAINERS - ENDS
  return [
    {
      ...slope('slope-attach-containers', attaching.slice(0, ENDS), attaching.slice(-ENDS), between),
      floor: slopeOf(bare.attaching.slice(0, ENDS), bare.attaching.slice(-ENDS), between),
    },
    slope('slope-publish-containers', publishingFirst, publishingLast, CONTAINERS - 1),
    {
      ...slope('slope-detach-containers', detaching.slice(-ENDS), detaching.slice(0, ENDS), between),
      floor: slopeOf(bare.detaching.slice(-ENDS), bare.detaching.slice(0, ENDS), between),
    },
    {
      ...{ name: 'memory-per-container', unit: 'KB', ours: (after.heap - before.heap) / CONTAINERS / 1024 },
      peers: { 'resident set': (after.resident - before.resident) / CONTAINERS / 1024 },
    },
  ]
}

/** As many containers on the floor's bridge, the kernel's work of them and no more. */
async function measureFloor(subject: Subject): Promise<{ attaching: number[]; detaching: number[] }> {
  const route = floor.routeSocket()
  const nftables = floor.nftablesSocket()
  const there: floor.PreparedAttach[] = []
  const attaching: number[] = []
  for (let at = 0; at < CONTAINERS; at++) {
    const prepared = prepareOne(subject, at, false)
    attaching.push(
      elapsed(() => {
        floor.attach(prepared, route, nftables)
      }),
    )
    there.push(prepared)
    // What else there is to do is not held up, as it is not beside ours.
    await setImmediate()
  }
  const detaching: number[] = []
  for (const [at, { path }] of [...there.entries()].reverse()) {
    if (isEnd(at, there.length)) await subject.settle()
    const mute = floor.prepareMute(subject.routes.getLink(hostName(at)).index)
    detaching.push(
      elapsed(() => {
        floor.detach(path, mute, route)
      }),
    )
    if (isEnd(at, there.length)) await subject.settle()
  }
  await subject.settle()
  route.close()
  nftables.close()
  return { attaching, detaching }
}

async function measureNetworks(subject: Subject): Promise<Measurement[]> {
  const networks: { delete(): Promise<void> }[] = []
  const attachments: Attachment[] = []
  const attaching: number[] = []
  let publishingFirst: number[] = []
  for (let at = 0; at < NETWORKS; at++) {
    const pools = [{ pool: `10.92.${at}.0/24` }, { pool: `fd92:${at.toString(16)}::/64` }]
    const network = await subject.controller.createNetwork({ name: `n${at}`, ipv6: true, ipam: { pools } })
    networks.push(network)
    attaching.push(await timed(async () => attachments.push(await attach(subject, network.id, `n${at}`))))
    const [first] = attachments
    if (at === 0 && first !== undefined) publishingFirst = await publishTimes(first, PUBLICATIONS)
  }
  const [first] = attachments
  const publishingLast = first === undefined ? [] : await publishTimes(first, PUBLICATIONS)
  const detaching = await detachAll(subject, attachments)
  for (const network of networks) await network.delete()
  await subject.settle()
  return [
    slope('slope-attach-networks', attaching.slice(0, ENDS), attaching.slice(-ENDS), NETWORKS - ENDS),
    slope('slope-publish-networks', publishingFirst, publishingLast, NETWORKS - 1),
    slope('slope-detach-networks', detaching.slice(-ENDS), detaching.slice(0, ENDS), NETWORKS - ENDS),
  ]
}

function attach({ controller }: Subject, network: string, name: string): Promise<Attachment> {
  return controller.attach({
    network,
    endpoint: { name, ports: [{ containerPort: 80 }] },
    sandbox: { containerId: name },
  })
}

/** One by one, the last first. Each waits until the kernel has reaped the one before, at either end of the row. */
async function detachAll(subject: Subject, attachments: readonly Attachment[]): Promise<number[]> {
  const times: number[] = []
  collectGarbage()
  for (const [at, attachment] of [...attachments.entries()].reverse()) {
    if (isEnd(at, attachments.length)) await subject.settle()
    times.push(await timed(() => attachment.detach()))
    if (isEnd(at, attachments.length)) await subject.settle()
  }
  await subject.settle()
  return times
}

function isEnd(at: number, count: number): boolean {
  return at < ENDS || at >= count - ENDS
}

async function publishTimes({ endpoint }: Attachment, count: number): Promise<number[]> {
  const port = [{ containerPort: 81, hostPort: 10_001 }]
  const times: number[] = []
  for (let at = 0; at < count; at++) {
    times.push(await timed(() => endpoint.publish(port)))
    await endpoint.unpublish(port)
  }
  return times
}

/** Microseconds more for each of `between` others, and the medians at both ends. */
function slope(name: string, few: readonly number[], many: readonly number[], between: number): Measurement {
  const peers = { 'with few': median(few) * 1000, 'with all': median(many) * 1000 }
  return { name, unit: 'us', ours: slopeOf(few, many, between), peers }
}

function slopeOf(few: readonly number[], many: readonly number[], between: number): number {
  return ((median(many) - median(few)) / between) * 1000
}

function elapsed(work: () => void): number {
  const start = performance.now()
  work()
  return performance.now() - start
}

function usedMemory(): { heap: number; resident: number } {
  collectGarbage()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, resident: rss }
}
