import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLmdbStore } from '@net/datastore-lmdb'
import { openController, type Attachment, type Controller, type CreateSandboxRequest } from '@net/libnetwork'
import { open } from 'lmdb'
import { collectGarbage, median, pause, timed, type Measurement } from './measure.ts'
import { measurePeers } from './peers/measure-peers.ts'
import type { Subject } from './subject.ts'

const REPETITIONS = 40
const WARM_UP = 10
const AT_ONCE = 64
const ROUNDS = 9
const WARM_UP_ROUNDS = 2

type Dns = CreateSandboxRequest['dns']

/** Controllers with one network each. */
interface Controllers {
  readonly durable: Controller
  readonly memory: Controller
  /** How often records were written to the disk until now. */
  readonly commits: () => number
  /** Resolves when the kernel has taken down what was detached. */
  readonly settle: () => Promise<void>
}

/** What as many attaches took as are issued at once. */
interface Round {
  readonly msEach: number
  readonly commits: number
}

/** What keeping records costs an attach, alone and among others, and how often it waits for the disk. */
export async function measureDurableAttach(subject: Subject, withPeers: boolean): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'net-bench-durable-'))
  const path = join(folder, 'store')
  const store = await openLmdbStore({ path })
  const file = open({ path: join(path, 'data.mdb'), noSubdir: true })
  // LMDB numbers what it has written.
  const commits = (): number => (file.getStats() as { readonly lastTxnId: number }).lastTxnId
  const durable = await openController({
    stores: { local: store },
    runtimeDirectory: join(folder, 'a'),
    onClose: 'delete',
  })
  const memory = await openController({ runtimeDirectory: join(folder, 'b') })
  try {
    for (const controller of [durable, memory]) await controller.createNetwork({ name: 'bench', ipv6: true })
    const controllers = { durable, memory, commits, settle: () => subject.settle() }
    return [await measureSingle(controllers, withPeers), await measureTogether(controllers)]
  } finally {
    await durable.close()
    await memory.close()
    await file.close()
    await store.close()
    rmSync(folder, { recursive: true })
  }
}

/** Without names and with them. */
async function measureSingle({ durable, memory, commits }: Controllers, withPeers: boolean): Promise<Measurement> {
  const before = commits()
  const took = await inTurn([
    ['attach-durable', durable, undefined],
    ['without names', durable, false],
    ['attach-dns', memory, undefined],
    ['attach-kernel', memory, false],
  ])
  const perAttach = (commits() - before) / (2 * (WARM_UP + REPETITIONS))
  const { 'attach-durable': ours = Number.NaN, ...others } = took
  return {
    name: 'attach-durable',
    unit: 'ms',
    ours,
    peers: { ...others, ...(withPeers ? await measurePeers(false) : {}) },
    note: `commits an attach and detach: ${perAttach.toFixed(1)}`,
  }
}

async function inTurn(
  sorts: readonly (readonly [name: string, controller: Controller, dns: Dns])[],
): Promise<Record<string, number>> {
  const took = new Map<string, number[]>(sorts.map(([name]) => [name, []]))
  collectGarbage()
  for (let at = 0; at < WARM_UP + REPETITIONS; at++) {
    for (const [name, controller, dns] of sorts) {
      let attachment: Attachment | undefined
      const ms = await timed(async () => {
        attachment = await attach(controller, 0, dns)
      })
      if (at >= WARM_UP) took.get(name)?.push(ms)
      await attachment?.detach()
      // The kernel reaps what went, and would delay the next.
      await pause(60)
    }
  }
  return Object.fromEntries([...took].map(([name, all]) => [name, median(all)]))
}

/** Attaches issued at once, beside as many one after the other: how many of them share a commit. */
async function measureTogether(controllers: Controllers): Promise<Measurement> {
  const { durable, memory } = controllers
  const together: Round[] = []
  const single: Round[] = []
  const unkept: Round[] = []
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    together.push(await measureRound(controllers, durable, attachAtOnce))
    single.push(await measureRound(controllers, durable, attachOneByOne))
    unkept.push(await measureRound(controllers, memory, attachAtOnce))
  }
  const middle = (rounds: readonly Round[], member: keyof Round): number =>
    median(rounds.slice(WARM_UP_ROUNDS).map((round) => round[member]))
  return {
    name: `attach-durable-${AT_ONCE}-at-once`,
    unit: 'ms',
    ours: middle(together, 'msEach'),
    peers: { 'one after the other': middle(single, 'msEach'), 'at once, nothing kept': middle(unkept, 'msEach') },
    note: `commits of ${AT_ONCE}: ${middle(together, 'commits')}, one after the other: ${middle(single, 'commits')}`,
  }
}

async function measureRound(
  { commits, settle }: Controllers,
  controller: Controller,
  attachAll: (controller: Controller) => Promise<void>,
): Promise<Round> {
  collectGarbage()
  const before = commits()
  const ms = await timed(() => attachAll(controller))
  const round = { msEach: ms / AT_ONCE, commits: commits() - before }
  await Promise.all(controller.sandboxes().map((sandbox) => sandbox.delete()))
  await settle()
  return round
}

async function attachAtOnce(controller: Controller): Promise<void> {
  await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => attach(controller, at)))
}

async function attachOneByOne(controller: Controller): Promise<void> {
  for (let at = 0; at < AT_ONCE; at++) await attach(controller, at)
}

function attach(controller: Controller, at: number, dns?: Dns): Promise<Attachment> {
  return controller.attach({
    network: 'bench',
    endpoint: { name: `e${at}` },
    sandbox: { containerId: `c${at}`, dns },
  })
}
