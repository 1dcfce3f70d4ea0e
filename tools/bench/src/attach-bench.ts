import { closeSync } from 'node:fs'
import { join } from 'node:path'
import type { Attachment } from '@net/libnetwork'
import { macAddressOf, parseAddress } from '@net/types'
import * as floor from './floor.ts'
import { ipBatch } from './peers/ip-batch.ts'
import { measurePeers } from './peers/measure-peers.ts'
import { collectGarbage, median, timed, type Measurement } from './measure.ts'
import type { Subject } from './subject.ts'

const REPETITIONS = 150
const WARM_UP = 30
/** So many attaches are made and undone before any counts: by then V8 has compiled what they run through. */
const COMPILING = 400
/** The first of them are told beside: a program that attaches a few containers has those. */
const FIRST = 50
const PEER_REPETITIONS = 15
const FIRST_PORT = 20_000

/** attach-kernel, attach-kernel-port and detach, ours and the floor's in turn. */
export async function measureAttach(
  subject: Subject,
  { withPort, withPeers }: { readonly withPort: boolean; readonly withPeers: boolean },
): Promise<Measurement[]> {
  const ours: number[] = []
  const theirs: number[] = []
  const attachments: Attachment[] = []
  const prepared: floor.PreparedAttach[] = []
  const held: (number | undefined)[] = []
  const route = floor.routeSocket()
  const nftables = floor.nftablesSocket()

  const first = await measureFirst(subject)
  for (let at = 0; at < WARM_UP + REPETITIONS; at++) prepared.push(prepareOne(subject, at, withPort))
  collectGarbage()
  for (const [at, one] of prepared.entries()) {
    const ports = withPort ? [{ containerPort: 80, hostPort: FIRST_PORT + 2 * at }] : []
    const own = await timed(async () => {
      attachments.push(
        await subject.controller.attach({
          network: subject.networkId,
          endpoint: { name: `e${at}`, ports },
          sandbox: { containerId: `c${at}`, dns: false },
        }),
      )
    })
    const bare = await timed(() => held.push(floor.attach(one, route, nftables)))
    if (at < WARM_UP) continue
    ours.push(own)
    theirs.push(bare)
  }
  const peers = {
    [`ours, the first ${FIRST}`]: first,
    ...(withPort ? {} : await measureIpBatch(subject)),
    ...(withPeers ? await measurePeers(withPort) : {}),
  }
  const detached = await measureDetach(subject, attachments, prepared, route)
  for (const fd of held) if (fd !== undefined) closeSync(fd)
  route.close()
  nftables.close()
  return [
    {
      name: withPort ? 'attach-kernel-port' : 'attach-kernel',
      unit: 'ms',
      ours: median(ours),
      floor: median(theirs),
      peers,
    },
    ...(withPort ? [] : [detached]),
  ]
}

/** Attaches until that is compiled, and says what the first took. */
async function measureFirst(subject: Subject): Promise<number> {
  const times: number[] = []
  for (let at = 0; at < COMPILING; at++) {
    let attachment: Attachment | undefined
    times.push(
      await timed(async () => {
        attachment = await subject.controller.attach({
          network: subject.networkId,
          endpoint: { name: `w${at}` },
          sandbox: { containerId: `w${at}`, dns: false },
        })
      }),
    )
    await attachment?.detach()
    if (at % FIRST === 0) await subject.settle()
  }
  await subject.settle()
  return median(times.slice(0, FIRST))
}

async function measureDetach(
  subject: Subject,
  attachments: readonly Attachment[],
  prepared: readonly floor.PreparedAttach[],
  route: floor.RawSocket,
): Promise<Measurement> {
  const ours: number[] = []
  const theirs: number[] = []
  const mutes = prepared.map((_, at) => floor.prepareMute(subject.routes.getLink(hostName(at)).index))
  collectGarbage()
  for (const [at, attachment] of attachments.entries()) {
    const mute = mutes[at]
    const one = prepared[at]
    if (mute === undefined || one === undefined) continue
    // The kernel's reaping of one would delay the other: each alone, a few of them.
    const measured = at >= WARM_UP && at < WARM_UP + PEER_REPETITIONS
    if (measured) await subject.settle()
    const own = await timed(() => attachment.detach())
    if (measured) await subject.settle()
    const bare = await timed(() => {
      floor.detach(one.path, mute, route)
    })
    if (!measured) continue
    ours.push(own)
    theirs.push(bare)
  }
  await subject.settle()
  return { name: 'detach', unit: 'ms', ours: median(ours), floor: median(theirs) }
}

async function measureIpBatch(subject: Subject): Promise<Record<string, number>> {
  const attaches: number[] = []
  const starts: number[] = []
  for (let at = 0; at < PEER_REPETITIONS; at++) {
    const peer = ipBatch(subject.folder, at)
    attaches.push(
      await timed(() => {
        peer.attach()
      }),
    )
    starts.push(
      await timed(() => {
        peer.startOnly()
      }),
    )
    peer.remove()
  }
  await subject.settle()
  return { 'ip -batch': median(attaches), 'ip -batch, process starts alone': median(starts) }
}

/** Prepares the floor's attach of this number. */
export function prepareOne(subject: Subject, at: number, withPort: boolean): floor.PreparedAttach {
  const address = `10.91.${at >> 8}.${at & 255 || 1}`
  return floor.prepareAttach({
    path: join(subject.folder, `f${at}`),
    hostName: hostName(at),
    master: subject.floorBridge,
    macAddress: macAddressOf(parseAddress(address)),
    address: `${address}/16`,
    address6: `fd91::${(at + 2).toString(16)}/64`,
    gateway: '10.91.255.254',
    gateway6: 'fd91::ffff',
    ...(withPort ? { port: { table: subject.table, hostPort: FIRST_PORT + 2 * at + 1 } } : {}),
  })
}

/** The host's end of the link of the floor's attach of this number. */
export function hostName(at: number): string {
  return `vethfloor${at}`
}
