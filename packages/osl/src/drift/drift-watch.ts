import type { JoinPlan, NetworkPlan } from '@net/driverapi'
import {
  isErrno,
  watchFarEnds,
  watchInterfaces,
  type FarEndEvent,
  type InterfaceEvent,
  type Link,
} from '@net/netlink-ffi'
import { Backoff, logFields, type Logger, type Turns } from '@net/types'
import { driftOfBridge, type DriftHands } from './bridge-drift.ts'
import type { Drift } from './drift.ts'
import type { DriftAnswer, DriftEvent } from './drift-event.ts'
import { driftOfFarEnd } from './far-end-drift.ts'
import { liveView, pastView } from './kernel-view.ts'
import { driftOfPort } from './port-drift.ts'
import { WantedLinks, type WantedLink, type WantedPort } from './wanted-links.ts'

/** What somebody does to a link comes in several steps: they are looked at together. */
const SETTLE_MS = 20
/** Whoever undoes repairs all the time finds them made less and less often. */
const WAITS = { firstMs: 100, maxMs: 10_000, quietMs: 30_000 } as const
/** Any program with CAP_NET_ADMIN in its sandbox can cause overruns, and everything is looked at after one. */
const OVERRUN_WAITS = { firstMs: 2_000, maxMs: 30_000, quietMs: 60_000 } as const
/** So many things can be wrong with one link at a time, and one shows behind another. */
const STEPS = 20

/** What the wiring supplies. */
export interface DriftDeps extends Omit<DriftHands, 'view'> {
  readonly answer: Exclude<DriftAnswer, 'off'>
  readonly tell: (event: DriftEvent) => void
  readonly turns: Turns
  readonly logger: Logger
}

/** Without CAP_NET_BROADCAST no other namespace is heard: sandboxes are looked into on opening then, and no more. */
function watchSandboxes(onEvent: (event: FarEndEvent) => void, logger: Logger): { close(): void } {
  try {
    return watchFarEnds(onEvent)
  } catch (error) {
    if (!isErrno(error, 'EPERM')) throw error
    logger.warn({ err: error }, 'what happens inside of sandboxes is not heard of: it takes CAP_NET_BROADCAST')
    return { close: () => undefined }
  }
}

interface LinkState {
  readonly backoff: Backoff
  /** What was told last and lasts. */
  told: string
  /** It is repaired, or looked at again, when it is time. */
  isWaiting: boolean
}

/** Undefined where all is well. `unknown` where it could not be looked at: the kernel says only once what happened. */
type Finding = Drift | 'unknown' | undefined

/**
 * Sees to it that the links of the host, and their far ends in sandboxes, stay as plans made them: whatever another
 * program or a hand does to one is told and, where that is wanted, put right.
 */
export class DriftWatch {
  readonly #deps: DriftDeps
  readonly #hands: DriftHands
  readonly #links = new WantedLinks()
  readonly #watches: readonly { close(): void }[]
  readonly #touched = new Set<WantedLink>()
  /** Those whose sandbox is to be looked into as well, which takes ten times as long. */
  readonly #farTouched = new WeakSet<WantedLink>()
  /** Sandboxes of which was told that they are not looked into, since there is too much in them. */
  readonly #crowded = new Set<string>()
  readonly #states = new WeakMap<WantedLink, LinkState>()
  readonly #timers = new Set<NodeJS.Timeout>()
  /** There from when a look is due until it was had. */
  #timer: NodeJS.Timeout | undefined
  readonly #overruns = new Backoff(OVERRUN_WAITS)
  #overrunTimer: NodeJS.Timeout | undefined
  /** Of the events that were lost, some were of sandboxes. */
  #isDeaf = false
  #closed = false

  /** Watches the calling thread's namespace, and those of sandboxes. */
  constructor(deps: DriftDeps) {
    this.#deps = deps
    this.#hands = { ...deps, view: liveView(deps.routes) }
    const host = watchInterfaces((event) => {
      this.#notice(event)
    })
    try {
      const sandboxes = watchSandboxes((event) => {
        this.#noticeFarEnd(event)
      }, deps.logger)
      this.#watches = [host, sandboxes]
    } catch (error) {
      host.close()
      throw error
    }
  }

  /** The links of a network are as they are to be; `indexes` in the order of the plan. */
  addNetwork(plan: NetworkPlan, indexes: readonly number[]): void {
    this.#links.addNetwork(plan, indexes)
  }

  addJoin(key: string, plan: JoinPlan, indexes: readonly number[]): void {
    this.#links.addJoin(key, plan, indexes)
  }

  /** Looks at all links, of which `now` are there, and puts them right, whatever is done about drift otherwise. */
  async repair(now: readonly Link[], turns: Turns): Promise<void> {
    let hands: DriftHands = { ...this.#hands, view: pastView(now) }
    for (const link of this.#links.all()) {
      await turns.take()
      this.#farTouched.add(link)
      if (this.#driftOf(link, hands) === undefined) continue
      this.#repairAll(link)
      // From the first change on, things are not as they were.
      hands = this.#hands
    }
  }

  /** From here on it is nobody's concern what becomes of them. */
  removeNetwork(plan: NetworkPlan): void {
    this.#links.removeNetwork(plan)
  }

  removeJoin(plan: JoinPlan): void {
    this.#links.removeJoin(plan)
  }

  removeSandbox(key: string): void {
    this.#crowded.delete(key)
  }

  /** Watches no more. Safe to call twice. */
  close(): void {
    this.#closed = true
    for (const watch of this.#watches) watch.close()
    clearTimeout(this.#timer)
    clearTimeout(this.#overrunTimer)
    for (const timer of this.#timers) clearTimeout(timer)
  }

  #notice(event: InterfaceEvent): void {
    if (event.kind === 'overrun') {
      this.#lookAtAllSoon()
      return
    }
    const link = this.#links.find(event.index)
    if (link !== undefined) this.#touched.add(link)
    this.#lookSoon()
  }

  /** Most of what is heard is what joining does, or is none of our business: only what can be drift is looked at. */
  #noticeFarEnd(event: FarEndEvent): void {
    if (event.kind === 'overrun') {
      this.#isDeaf = true
      this.#lookAtAllSoon()
      return
    }
    const port = this.#driftedPort(event)
    if (port === undefined) return
    this.#touched.add(port)
    this.#farTouched.add(port)
    this.#lookSoon()
  }

  #driftedPort(event: Exclude<FarEndEvent, { kind: 'overrun' }>): WantedPort | undefined {
    if (event.kind === 'address-removed') return this.#links.findByAddress(event.address)
    const port = this.#links.find(event.peerIndex)
    if (port?.kind !== 'port') return undefined
    return event.up && event.name === port.link.name ? undefined : port
  }

  /** What was lost may have been about any link. */
  #lookAtAllSoon(): void {
    if (this.#overrunTimer !== undefined) return
    const waitMs = this.#overruns.next(performance.now())
    this.#overrunTimer = setTimeout(() => {
      this.#overrunTimer = undefined
      for (const link of this.#links.all()) {
        this.#touched.add(link)
        if (this.#isDeaf) this.#farTouched.add(link)
      }
      this.#isDeaf = false
      this.#lookSoon()
    }, waitMs)
    this.#overrunTimer.unref()
  }

  #lookSoon(): void {
    if (this.#touched.size === 0 || this.#timer !== undefined) return
    this.#timer = setTimeout(() => void this.#lookAtTouched(), SETTLE_MS)
    this.#timer.unref()
  }

  async #lookAtTouched(): Promise<void> {
    const touched = [...this.#touched]
    this.#touched.clear()
    // Bridges first: their ports come back with them.
    const sorted = [
      ...touched.filter(({ kind }) => kind === 'bridge'),
      ...touched.filter(({ kind }) => kind === 'port'),
    ]
    try {
      for (const link of sorted) {
        await this.#deps.turns.take()
        if (this.#closed) return
        this.#look(link)
      }
    } finally {
      this.#timer = undefined
    }
    this.#lookSoon()
  }

  /** Looks at a link, and does what there is to do, or sees to it that it is done when it is time. */
  readonly #look = (link: WantedLink): void => {
    const state = this.#stateOf(link)
    if (state.isWaiting) return
    const drift = this.#driftOf(link)
    if (drift === undefined) state.told = ''
    else if (drift === 'unknown') this.#inTurn(link, this.#look)
    else if (this.#deps.answer === 'report') this.#tellOnce(link, drift, 'reported')
    else this.#inTurn(link, this.#repairAll)
  }

  /** Does something about a link at once, or when it is time. */
  #inTurn(link: WantedLink, work: (link: WantedLink) => void): void {
    const waitMs = this.#stateOf(link).backoff.next(performance.now())
    if (waitMs === 0) work(link)
    else this.#later(link, waitMs, work)
  }

  /** Until nothing is wrong with a link, or nothing more can be done: one thing shows behind another. */
  readonly #repairAll = (link: WantedLink): void => {
    for (let step = 0; step < STEPS; step++) {
      const drift = this.#driftOf(link)
      if (drift === undefined) {
        this.#stateOf(link).told = ''
        return
      }
      if (drift === 'unknown') {
        this.#inTurn(link, this.#repairAll)
        return
      }
      if (drift.repair === undefined) {
        this.#tellOnce(link, drift, 'lost')
        // Somebody may bring it back, under an index that nobody knows of.
        if (drift.what !== 'namespace-lost') this.#inTurn(link, this.#repairAll)
        return
      }
      try {
        drift.repair()
        this.#tell(drift, 'repaired')
      } catch (error) {
        this.#tellOnce(link, drift, 'lost', error as Error)
        this.#inTurn(link, this.#repairAll)
        return
      }
    }
  }

  #later(link: WantedLink, waitMs: number, work: (link: WantedLink) => void): void {
    const state = this.#stateOf(link)
    state.isWaiting = true
    const timer = setTimeout(() => {
      state.isWaiting = false
      this.#timers.delete(timer)
      work(link)
    }, waitMs)
    timer.unref()
    this.#timers.add(timer)
  }

  #driftOf(link: WantedLink, hands = this.#hands): Finding {
    if (!this.#links.has(link)) return undefined
    try {
      if (link.kind === 'bridge') return driftOfBridge(hands, this.#links, link)
      return driftOfPort(hands, this.#links, link) ?? this.#driftInside(link, hands)
    } catch (error) {
      this.#deps.logger.warn({ err: error, link: link.name }, 'could not look at a link')
      return 'unknown'
    }
  }

  #driftInside(port: WantedPort, hands: DriftHands): Drift | undefined {
    if (!this.#farTouched.has(port)) return undefined
    const drift = driftOfFarEnd(hands, port)
    if (drift !== undefined && drift !== 'crowded') return drift
    this.#farTouched.delete(port)
    if (drift === 'crowded') this.#tellCrowded(port.key)
    return undefined
  }

  #tellCrowded(sandbox: string): void {
    if (this.#crowded.has(sandbox)) return
    this.#crowded.add(sandbox)
    this.#deps.logger.warn({ sandbox }, 'a sandbox has too much in it to be looked into')
  }

  /** As long as nothing is better, nothing is told again. */
  #tellOnce(link: WantedLink, drift: Drift, outcome: DriftEvent['outcome'], error?: Error): void {
    const state = this.#stateOf(link)
    const text = `${drift.what} ${drift.detail ?? ''}`
    if (state.told === text) return
    state.told = text
    this.#tell(drift, outcome, error)
  }

  #tell({ what, subject, sandbox, detail }: Drift, outcome: DriftEvent['outcome'], error?: Error): void {
    const event: DriftEvent = { kind: 'drift', what, subject, sandbox, detail, outcome, error }
    this.#deps.logger.warn(logFields(event), 'a link is not as it was left')
    this.#deps.tell(event)
  }

  #stateOf(link: WantedLink): LinkState {
    const state = this.#states.get(link) ?? { backoff: new Backoff(WAITS), told: '', isWaiting: false }
    this.#states.set(link, state)
    return state
  }
}
