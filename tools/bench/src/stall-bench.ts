import { collectGarbage, longestStall, timed, type Measurement } from './measure.ts'
import type { Subject } from './subject.ts'

const AT_ONCE = 300
const SINGLE = 25
const WARM_UP = 5

/** The longest stall of the event loop: in operations one by one, and in 300 attaches issued at once. */
export async function measureStalls(subject: Subject): Promise<Measurement[]> {
  const { controller, networkId: network } = subject
  const attach = (at: number): Promise<{ detach(): Promise<void> }> =>
    controller.attach({
      network,
      endpoint: { name: `s${at}`, ports: [{ containerPort: 80 }] },
      sandbox: { containerId: `s${at}` },
    })

  collectGarbage()
  const stalls: number[] = []
  for (let at = 0; at < SINGLE; at++) {
    const attachments: { detach(): Promise<void> }[] = []
    const attachStall = await longestStall(async () => attachments.push(await attach(at)))
    await subject.settle()
    const detachStall = await longestStall(async () => attachments[0]?.detach())
    await subject.settle()
    if (at >= WARM_UP) stalls.push(attachStall, detachStall)
  }

  collectGarbage()
  let attachments: { detach(): Promise<void> }[] = []
  let totalMs = 0
  const many = await longestStall(async () => {
    totalMs = await timed(async () => {
      attachments = await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => attach(at)))
    })
  })
  await Promise.all(attachments.map((attachment) => attachment.detach()))
  await subject.settle()
  return [
    { name: 'stall-single', unit: 'ms', ours: Math.max(...stalls) },
    { name: `stall-${AT_ONCE}-attaches`, unit: 'ms', ours: many },
    { name: `${AT_ONCE}-attaches-at-once`, unit: 'ms', ours: totalMs },
  ]
}
