import type { FirewallEvent } from '@net/firewall'
import type { HostEvent } from '@net/osl'
import type { DriverUnavailable } from './driver-plugins.ts'
import type { GatewayLost } from './gateway-network.ts'
import type { ProxyLost, ProxyRestored } from './loopback/loopback-ports.ts'
import type { RecoveryEvent } from './records/recovery-events.ts'

/** Something that happened to what the controller keeps, without its doing. */
export type Happening =
  FirewallEvent | HostEvent | RecoveryEvent | DriverUnavailable | GatewayLost | ProxyLost | ProxyRestored

/** Where an event stands among all of a controller. */
export interface EventPlace {
  /** 1, 2, 3 and so on, as long as the controller lives. */
  readonly sequence: number
  readonly time: Date
}

/** A listener was too slow, or asked for what is not remembered any more: `missed` events before this one are gone. */
export interface EventsMissed {
  readonly kind: 'events-missed'
  readonly missed: number
}

/** What `controller.events()` yields. */
export type ControllerEvent = (Happening | EventsMissed) & EventPlace

/** Which events to listen to. */
export interface EventsOptions {
  /** Those after the one with that sequence number; 0 is all that are remembered. @defaultValue those from now on */
  readonly after?: number | undefined
  /** Ends it. */
  readonly signal?: AbortSignal | undefined
}

/** So many events are remembered, for all listeners together. */
const REMEMBERED = 1_000

/** The events of a controller: the last ones are remembered, and every listener reads them at his own pace. */
export class EventLog {
  readonly #capacity: number
  readonly #remembered: (Happening & EventPlace)[] = []
  readonly #waiting = new Set<() => void>()
  #last = 0
  #closed = false

  constructor(capacity = REMEMBERED) {
    this.#capacity = capacity
  }

  /** Adds one; whoever waits for it goes on. */
  add(happening: Happening): void {
    if (this.#closed) return
    this.#last++
    this.#remembered.push({ ...happening, sequence: this.#last, time: new Date() })
    if (this.#remembered.length > this.#capacity) this.#remembered.shift()
    this.#wake()
  }

  /** Events from the call on, or after one. Ends when the signal fires, and after the last one once the log is closed. */
  events({ after = this.#last, signal }: EventsOptions = {}): AsyncIterable<ControllerEvent> {
    return this.#read(after, signal)
  }

  /** Safe to call twice. */
  close(): void {
    this.#closed = true
    this.#wake()
  }

  async *#read(after: number, signal: AbortSignal | undefined): AsyncGenerator<ControllerEvent> {
    let last = after
    while (signal?.aborted !== true) {
      const event = this.#after(last)
      if (event !== undefined) {
        last = event.sequence
        yield event
      } else if (this.#closed) {
        return
      } else {
        await this.#news(signal)
      }
    }
  }

  #after(sequence: number): ControllerEvent | undefined {
    const before = this.#last - this.#remembered.length
    const missed = before - sequence
    if (missed > 0) return { kind: 'events-missed', missed, sequence: before, time: new Date() }
    return this.#remembered[sequence - before]
  }

  #news(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake)
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal?.addEventListener('abort', wake, { once: true })
    })
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }
}
