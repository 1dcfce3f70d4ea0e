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

/** Ours on one bridge and the floor's on another, in turn: the kernel's own work grows with the ports of a bridge. */
async function measureContainers(subject: Subject): Promise<Measurement[]> {
  const attachments: Attachment[] = []
  const attaching: number[] = []
  const bareFloor = new FloorContainers(subject)
  const before = usedMemory()
  let publishingFirst: number[] = []
  for (let at = 0; at < CONTAINERS; at++) {
    attaching.push(await timed(async () => attachments.push(await attach(subject, subject.networkId, `c${at}`))))
    bareFloor.attach()
    const [first] = attachments
    if (at === 0 && first !== undefined) publishingFirst = await publishTimes(first, PUBLICATIONS)
  }
  const after = usedMemory()
  const [first] = attachments
  const publishingLast = first === undefined ? [] : await publishTimes(first, PUBLICATIONS)
  const detaching = await detachAll(subject, attachments, () => {
    bareFloor.detach()
  })
  bareFloor.close()
  const between = CONTAINERS - ENDS
  const { attaching: bareAttaching, detaching: bareDetaching } = bareFloor
  return [
    {
      ...slope('slope-attach-containers', attaching.slice(0, ENDS), attaching.slice(-ENDS), between),
      floor: slopeOf(bareAttaching.slice(0, ENDS), bareAttaching.slice(-ENDS), between),
    },
    slope('slope-publish-containers', publishingFirst, publishingLast, CONTAINERS - 1),
    {
      ...slope('slope-detach-containers', detaching.slice(-ENDS), detaching.slice(0, ENDS), between),
      floor: slopeOf(bareDetaching.slice(-ENDS), bareDetaching.slice(0, ENDS), between),
    },
    {
      ...{ name: 'memory-per-container', unit: 'KB', ours: (after.heap - before.heap) / CONTAINERS / 1024 },
      peers: { 'resident set': (after.resident - before.resident) / CONTAINERS / 1024 },
    },
  ]
}

/** As many containers on the floor's bridge, the kernel's work of them and no more. */
class FloorContainers {
  readonly attaching: number[] = []
  readonly detaching: number[] = []
  readonly #subject: Subject
  readonly #route = floor.routeSocket()
  readonly #nftables = floor.nftablesSocket()
  readonly #there: floor.PreparedAttach[] = []

  constructor(subject: Subject) {
    this.#subject = subject
  }

  attach(): void {
    const prepared = prepareOne(this.#subject, this.#there.length, false)
    const start = performance.now()
    floor.attach(prepared, this.#route, this.#nftables)
    this.attaching.push(performance.now() - start)
    this.#there.push(prepared)
  }

  /** The last one. */
  detach(): void {
    const prepared = this.#there.pop()
    if (prepared === undefined) return
    const mute = floor.prepareMute(this.#subject.routes.getLink(hostName(this.#there.length)).index)
    const start = performance.now()
    floor.detach(prepared.path, mute, this.#route)
    this.detaching.push(performance.now() - start)
  }

  close(): void {
    this.#route.close()
    this.#nftables.close()
  }
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
async function detachAll(
  subject: Subject,
  attachments: readonly Attachment[],
  detachOther: () => void = () => undefined,
): Promise<number[]> {
  const times: number[] = []
  collectGarbage()
  for (const [at, attachment] of attachments.toReversed().entries()) {
    const isMeasured = at < ENDS || at >= attachments.length - ENDS
    if (isMeasured) await subject.settle()
    times.push(await timed(() => attachment.detach()))
    if (isMeasured) await subject.settle()
    detachOther()
  }
  await subject.settle()
  return times
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

function usedMemory(): { heap: number; resident: number } {
  collectGarbage()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, resident: rss }
}
