import { closeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { deleteNamespace } from '@net/netlink-ffi'
import { prepareOne } from './attach-bench.ts'
import * as floor from './floor.ts'
import { collectGarbage, longestStall, timed, type Measurement } from './measure.ts'
import type { Subject } from './subject.ts'

/** A bridge takes 1 023 ports. */
const AT_ONCE = 1000
const SINGLE = 25
const WARM_UP = 5

/** The longest stall of the event loop: in operations one by one, and in a thousand attaches issued at once. */
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

  const serialMs = await timed(async () => {
    for (let at = 0; at < AT_ONCE; at++) await attach(at)
  })
  await detachAll(subject)
  let totalMs = 0
  const many = await longestStall(async () => {
    totalMs = await timed(() => Promise.all(Array.from({ length: AT_ONCE }, (_, at) => attach(at))))
  })
  await detachAll(subject)
  return [
    { name: 'stall-single', unit: 'ms', ours: Math.max(...stalls) },
    {
      ...{ name: `stall-${AT_ONCE}-attaches`, unit: 'ms', ours: many, floor: await longestFloor(subject) },
      note: 'the floor: the longest of as many prepared attaches, each in one piece',
    },
    {
      ...{ name: `${AT_ONCE}-attaches-at-once`, unit: 'ms', ours: totalMs, peers: { 'one after the other': serialMs } },
      note: `${(totalMs / serialMs).toFixed(2)} times that`,
    },
  ]
}

/** The longest of a thousand attaches as prepared messages: each is one step, the event loop turns between them. */
async function longestFloor(subject: Subject): Promise<number> {
  const route = floor.routeSocket()
  const nftables = floor.nftablesSocket()
  const held: (number | undefined)[] = []
  const prepared = Array.from({ length: AT_ONCE }, (_, at) => prepareOne(subject, at, true))
  let longest = 0
  for (const one of prepared) {
    longest = Math.max(longest, await timed(() => held.push(floor.attach(one, route, nftables))))
    await setImmediate()
  }
  for (const fd of held) if (fd !== undefined) closeSync(fd)
  for (const { path } of prepared) deleteNamespace(path)
  route.close()
  nftables.close()
  await subject.settle()
  return longest
}

async function detachAll(subject: Subject): Promise<void> {
  await Promise.all(subject.controller.sandboxes().map((sandbox) => sandbox.delete()))
  await subject.settle()
  collectGarbage()
}
