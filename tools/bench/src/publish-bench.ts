import { closeSync } from 'node:fs'
import { deleteElements } from '@net/netlink-ffi'
import type { Endpoint } from '@net/libnetwork'
import * as floor from './floor.ts'
import { collectGarbage, median, timed, type Measurement } from './measure.ts'
import type { Subject } from './subject.ts'

const REPETITIONS = 200
const WARM_UP = 50
const BATCH = 500
const FIRST_PORT = 20_000
const FLOOR_PORT = 50_000
const ADDRESS = '10.91.0.1/16'
const ADDRESS6 = 'fd91::2/64'

/** publish and unpublish of one port, with few and with many others published. */
export async function measurePublish(subject: Subject, published: number): Promise<Measurement[]> {
  const attachment = await subject.controller.attach({
    network: subject.networkId,
    endpoint: { name: 'publisher' },
    sandbox: { containerId: 'publisher' },
  })
  const { endpoint } = attachment
  await publishMany(endpoint, published)
  const nftables = floor.nftablesSocket()
  const publishing: [number[], number[]] = [[], []]
  const unpublishing: [number[], number[]] = [[], []]
  const port = FIRST_PORT + published
  const prepared = floor.preparePublish(subject.table, FLOOR_PORT, ADDRESS, ADDRESS6)
  const removal = prepareUnpublish(subject.table, FLOOR_PORT)
  collectGarbage()
  for (let at = 0; at < WARM_UP + REPETITIONS; at++) {
    const own = await timed(() => endpoint.publish([{ containerPort: 80, hostPort: port }]))
    let held = -1
    const bare = await timed(() => {
      held = floor.holdPort(FLOOR_PORT)
      nftables.exchange(prepared)
    })
    const ownEnd = await timed(() => endpoint.unpublish([{ containerPort: 80, hostPort: port }]))
    const bareEnd = await timed(() => {
      nftables.exchange(removal)
      closeSync(held)
    })
    if (at < WARM_UP) continue
    publishing[0].push(own)
    publishing[1].push(bare)
    unpublishing[0].push(ownEnd)
    unpublishing[1].push(bareEnd)
  }
  nftables.close()
  await attachment.detach()
  await subject.settle()
  const microseconds = (values: readonly number[]): number => median(values) * 1000
  return [
    { name: `publish-${published}`, unit: 'us', ours: microseconds(publishing[0]), floor: microseconds(publishing[1]) },
    {
      name: `unpublish-${published}`,
      unit: 'us',
      ours: microseconds(unpublishing[0]),
      floor: microseconds(unpublishing[1]),
    },
  ]
}

async function publishMany(endpoint: Endpoint, count: number): Promise<void> {
  for (let first = 0; first < count; first += BATCH) {
    const length = Math.min(BATCH, count - first)
    await endpoint.publish(
      Array.from({ length }, (_, at) => ({ containerPort: 1000 + first + at, hostPort: FIRST_PORT + first + at })),
    )
  }
}

function prepareUnpublish(table: string, hostPort: number): Uint8Array {
  const reference = { family: 'inet', name: table } as const
  return floor.prepareBatch(
    (['ports4', 'ports6'] as const).flatMap((name) =>
      deleteElements(
        {
          table: reference,
          name,
          key: ['inet_proto', 'inet_service'],
          data: [name === 'ports4' ? 'ipv4_addr' : 'ipv6_addr', 'inet_service'],
        },
        [{ key: [6, hostPort] }],
      ),
    ),
  )
}
