import { closeSync } from 'node:fs'
import * as floor from './floor.ts'
import { collectGarbage, longestStall, median, timed, type Measurement } from './measure.ts'
import type { Subject } from './subject.ts'

const COUNTS = [1, 250, 500, 1000] as const
const FIRST_PORT = 20_000
const REPETITIONS = 20
const WARM_UP = 5
const STALLS = 10

/** What a port costs that a socket holds, published as a range with one attach, and the longest stall meanwhile. */
export async function measureHolding(subject: Subject): Promise<Measurement[]> {
  const attaching = new Map<number, number[]>(COUNTS.map((count) => [count, []]))
  const detaching = new Map<number, number[]>(COUNTS.map((count) => [count, []]))
  collectGarbage()
  for (let at = 0; at < WARM_UP + REPETITIONS; at++) {
    for (const count of COUNTS) {
      let attachment: { detach(): Promise<void> } | undefined
      const attachMs = await timed(async () => {
        attachment = await attach(subject, count)
      })
      const detachMs = await timed(() => attachment?.detach())
      await subject.settle()
      if (at < WARM_UP) continue
      attaching.get(count)?.push(attachMs)
      detaching.get(count)?.push(detachMs)
    }
  }
  const { opening, closing } = floorOf(1000)
  const perPort = (times: ReadonlyMap<number, number[]>, count: number): number =>
    ((median(times.get(count) ?? []) - median(times.get(1) ?? [])) / (count - 1)) * 1000
  return [
    ...COUNTS.slice(1).map((count): Measurement => ({
      name: `hold-${count}`,
      unit: 'us',
      ours: perPort(attaching, count),
      floor: opening,
    })),
    { name: 'hold-1000-release', unit: 'us', ours: perPort(detaching, 1000), floor: closing },
    ...(await measureStalls(subject)),
  ]
}

function attach({ controller, networkId: network }: Subject, count: number): Promise<{ detach(): Promise<void> }> {
  const range = { containerPort: FIRST_PORT, containerPortEnd: FIRST_PORT + count - 1, hostPort: FIRST_PORT }
  return controller.attach({ network, endpoint: { name: 'h', ports: [range] }, sandbox: { containerId: 'h' } })
}

async function measureStalls(subject: Subject): Promise<Measurement[]> {
  const [attaching, detaching]: [number[], number[]] = [[], []]
  for (let at = 0; at < STALLS; at++) {
    let attachment: { detach(): Promise<void> } | undefined
    collectGarbage()
    attaching.push(
      await longestStall(async () => {
        attachment = await attach(subject, 1000)
      }),
    )
    await subject.settle()
    collectGarbage()
    detaching.push(await longestStall(async () => attachment?.detach()))
    await subject.settle()
  }
  return [
    { name: 'hold-1000-stall', unit: 'ms', ours: Math.max(...attaching), peers: { median: median(attaching) } },
    { name: 'hold-1000-release-stall', unit: 'ms', ours: Math.max(...detaching), peers: { median: median(detaching) } },
  ]
}

/** The same sockets and nothing around them, in microseconds a port. */
function floorOf(count: number): { opening: number; closing: number } {
  const [opening, closing]: [number[], number[]] = [[], []]
  for (let at = 0; at < WARM_UP; at++) {
    const start = performance.now()
    const held = Array.from({ length: count }, (_, port) => floor.holdPort(FIRST_PORT + port))
    const between = performance.now()
    for (const fd of held) closeSync(fd)
    opening.push(((between - start) / count) * 1000)
    closing.push(((performance.now() - between) / count) * 1000)
  }
  return { opening: median(opening), closing: median(closing) }
}
