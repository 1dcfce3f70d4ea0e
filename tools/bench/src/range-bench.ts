import type { AttachRequest } from '@net/libnetwork'
import { addElements, deleteElements, type NftSet } from '@net/netlink-ffi'
import * as floor from './floor.ts'
import { collectGarbage, median, timed, type Measurement } from './measure.ts'
import type { Subject } from './subject.ts'

const REPETITIONS = 30
const WARM_UP = 10
const PUBLISH_REPETITIONS = 200
const PUBLISH_WARM_UP = 50

type Ports = NonNullable<AttachRequest['endpoint']['ports']>

/** What is published with one attach, by the name of its measurement. */
const publications: Readonly<Record<string, Ports>> = {
  'ports-attach-1': [{ containerPort: 80, hostPort: 20_000 }],
  'ports-attach-range-1000': [{ containerPort: 20_000, containerPortEnd: 20_999, hostPort: 20_000 }],
  'ports-attach-range-60000': [{ containerPort: 5000, containerPortEnd: 64_999, hostPort: 5000 }],
  'ports-attach-range-60000-shifted': [{ containerPort: 5001, containerPortEnd: 65_000, hostPort: 5000 }],
  'ports-attach-1000-apart': Array.from({ length: 1000 }, (_, at) => ({
    containerPort: 80,
    hostPort: 20_000 + 2 * at,
  })),
}

/** One port, ranges of many and many apart, published with one attach, where no sockets hold them. */
export async function measureRanges(subject: Subject): Promise<Measurement[]> {
  const times = new Map(Object.keys(publications).map((name) => [name, [] as number[]]))
  collectGarbage()
  for (let at = 0; at < WARM_UP + REPETITIONS; at++) {
    for (const [name, ports] of Object.entries(publications)) {
      const ms = await attachOnce(subject, ports)
      if (at >= WARM_UP) times.get(name)?.push(ms)
    }
  }
  const onePort = median(times.get('ports-attach-1') ?? [])
  return [
    ...Array.from(times, ([name, values]): Measurement => {
      const floorMs = name === 'ports-attach-1000-apart' ? batchFloor(subject) : undefined
      return {
        ...{ name, unit: 'ms', ours: median(values), peers: { 'one port': onePort } },
        ...(floorMs === undefined ? {} : { floor: floorMs }),
      }
    }),
    ...(await measurePublishRange(subject)),
    await measureMemory(subject),
  ]
}

async function attachOnce(subject: Subject, ports: Ports): Promise<number> {
  const { controller, networkId } = subject
  let attachment: { detach(): Promise<void> } | undefined
  const ms = await timed(async () => {
    attachment = await controller.attach({
      network: networkId,
      endpoint: { name: 'e', ports },
      sandbox: { containerId: 'c' },
    })
  })
  await attachment?.detach()
  await subject.settle()
  return ms
}

/** A range of 60 000 more, and less, of an endpoint that runs; beside the same elements as prepared messages. */
async function measurePublishRange(subject: Subject): Promise<Measurement[]> {
  const { controller, networkId: network } = subject
  const attachment = await controller.attach({ network, endpoint: { name: 'e' }, sandbox: { containerId: 'c' } })
  const range = [{ containerPort: 5000, containerPortEnd: 64_999, hostPort: 5000 }]
  const adding = floor.prepareBatch(rangeElements(subject.table, addElements))
  const removing = floor.prepareBatch(rangeElements(subject.table, deleteElements))
  const nftables = floor.nftablesSocket()
  const exchange = (bytes: Uint8Array) => (): void => {
    nftables.exchange(bytes)
  }
  const [ours, theirs]: [number[], number[]] = [[], []]
  const [oursBack, theirsBack]: [number[], number[]] = [[], []]
  for (let at = 0; at < PUBLISH_WARM_UP + PUBLISH_REPETITIONS; at++) {
    ours.push(await timed(() => attachment.endpoint.publish(range)))
    oursBack.push(await timed(() => attachment.endpoint.unpublish(range)))
    theirs.push(await timed(exchange(adding)))
    theirsBack.push(await timed(exchange(removing)))
  }
  nftables.close()
  await attachment.detach()
  await subject.settle()
  const us = (values: readonly number[]): number => median(values.slice(PUBLISH_WARM_UP)) * 1000
  return [
    { name: 'ports-publish-range-60000', unit: 'us', ours: us(ours), floor: us(theirs) },
    { name: 'ports-unpublish-range-60000', unit: 'us', ours: us(oursBack), floor: us(theirsBack) },
  ]
}

function rangeElements(table: string, messagesOf: typeof addElements): ReturnType<typeof addElements> {
  return ([4, 6] as const).flatMap((family) => {
    const set: NftSet = {
      ...{ table: { family: 'inet', name: table }, name: `ranges${family}`, interval: true },
      ...{ key: [`ipv${family}_addr`, 'inet_proto', 'inet_service'], data: [`ipv${family}_addr`] },
    }
    const [from, to] = family === 4 ? ['0.0.0.0', '255.255.255.255'] : ['::', `ffff${':ffff'.repeat(7)}`]
    return messagesOf(set, [
      { key: [from, 6, 5000], keyEnd: [to, 6, 64_999], data: [family === 4 ? '10.90.0.2' : 'fd90::2'] },
    ])
  })
}

/** A thousand ports apart are two thousand elements, whoever adds them. */
function batchFloor({ table }: Subject): number {
  const elements = (messagesOf: typeof addElements): Uint8Array =>
    floor.prepareBatch(
      ([4, 6] as const).flatMap((family) =>
        messagesOf(
          {
            ...{ table: { family: 'inet', name: table }, name: `ports${family}` },
            ...{ key: ['inet_proto', 'inet_service'], data: [`ipv${family}_addr`, 'inet_service'] },
          },
          Array.from({ length: 1000 }, (_, at) => ({
            key: [6, 20_000 + 2 * at],
            data: [family === 4 ? '10.90.0.2' : 'fd90::2', 80],
          })),
        ),
      ),
    )
  const [adding, removing] = [elements(addElements), elements(deleteElements)]
  const nftables = floor.nftablesSocket()
  const times: number[] = []
  for (let at = 0; at < WARM_UP; at++) {
    const start = performance.now()
    nftables.exchange(adding)
    times.push(performance.now() - start)
    nftables.exchange(removing)
  }
  nftables.close()
  return median(times)
}

/** What a range of 60 000 ports keeps of our process' memory. */
async function measureMemory(subject: Subject): Promise<Measurement> {
  const { controller, networkId: network } = subject
  const attachment = await controller.attach({ network, endpoint: { name: 'm' }, sandbox: { containerId: 'm' } })
  const range = [{ containerPort: 5000, containerPortEnd: 64_999, hostPort: 5000 }]
  const kept: number[] = []
  for (let at = 0; at < WARM_UP + REPETITIONS; at++) {
    const before = usedBytes()
    await attachment.endpoint.publish(range)
    kept.push(usedBytes() - before)
    await attachment.endpoint.unpublish(range)
  }
  await attachment.detach()
  await subject.settle()
  return { name: 'ports-memory-range-60000', unit: 'KB', ours: median(kept.slice(WARM_UP)) / 1024 }
}

function usedBytes(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
