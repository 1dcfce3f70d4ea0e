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
  return [
    slope('slope-attach-containers', attaching.slice(0, ENDS), attaching.slice(-ENDS), CONTAINERS - ENDS),
    slope('slope-publish-containers', publishingFirst, publishingLast, CONTAINERS - 1),
    slope('slope-detach-containers', detaching.slice(-ENDS), detaching.slice(0, ENDS), CONTAINERS - ENDS),
    {
      ...{ name: 'memory-per-container', unit: 'KB', ours: (after.heap - before.heap) / CONTAINERS / 1024 },
      peers: { 'resident set': (after.resident - before.resident) / CONTAINERS / 1024 },
    },
  ]
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
  for (const [at, attachment] of attachments.toReversed().entries()) {
    const isMeasured = at < ENDS || at >= attachments.length - ENDS
    if (isMeasured) await subject.settle()
    times.push(await timed(() => attachment.detach()))
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
  const [first, last] = [median(few) * 1000, median(many) * 1000]
  return { name, unit: 'us', ours: (last - first) / between, peers: { 'with few': first, 'with all': last } }
}

function usedMemory(): { heap: number; resident: number } {
  collectGarbage()
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed + external, resident: rss }
}
