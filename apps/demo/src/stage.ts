import type { Controller } from '@net/libnetwork'
import { Rollback, type CallOptions } from '@net/types'
import type { HostPort } from './leftovers.ts'
import { Programs } from './programs.ts'
import type { Recorder } from './report.ts'

/** Where the demo takes place. */
export interface Place {
  /** A folder of its own, empty. */
  readonly folder: string
  /** Below which controllers mount namespaces. */
  readonly runtimeDirectory: string
}

/** What the steps of the demo share. */
export class Stage {
  readonly place: Place
  readonly recorder: Recorder
  /** For everything that can wait: given up when the demo is interrupted. */
  readonly call: CallOptions & { readonly signal: AbortSignal }
  readonly programs: Programs
  /** Host ports that were published at any time. */
  readonly published: HostPort[] = []
  /** Controllers that were opened at any time. */
  readonly controllers: Controller[] = []
  readonly #teardown = new Rollback()

  constructor(place: Place, recorder: Recorder, signal: AbortSignal) {
    this.place = place
    this.recorder = recorder
    this.call = { signal }
    this.programs = new Programs(signal)
  }

  /** Remembers how to unmake what has just been made. */
  defer(what: string, undo: () => void | Promise<void>): void {
    this.#teardown.defer(what, () => this.recorder.undo(what, undo))
  }

  /** Unmakes everything, last first, whatever fails and whoever interrupts. */
  async tearDown(): Promise<void> {
    await this.#teardown[Symbol.asyncDispose]()
  }
}
