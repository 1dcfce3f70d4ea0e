import { StoreClosedError, StoreFullError, StoreUnavailableError } from '@net/datastore'
import type { CallOptions } from '@net/types'
import { commitErrorOf } from './commit-error.ts'
import { Draft, type HistoryLimits } from './draft.ts'
import type { StoreFolder } from './folder.ts'
import type { Known } from './known.ts'
import { roomFor } from './room.ts'
import type { Tables } from './tables.ts'

/** Jobs of one commit at most: planning them is one step of the event loop. */
const JOBS_PER_COMMIT = 96
/** What a commit takes besides its bytes. */
const OVERHEAD_BYTES = 2 ** 20

/** ENOSPC, EFBIG and EDQUOT, as lmdb-js reports them. */
const NO_ROOM: readonly unknown[] = [28, 27, 122]

/** Says what to write. Runs anew when another process was faster; throws before it has written to the draft. */
export type Plan<T> = (draft: Draft) => T

interface Job {
  readonly signal: AbortSignal | undefined
  /** Plans, and returns what reports success. */
  readonly plan: (draft: Draft) => () => void
  readonly reject: (error: unknown) => void
}

const nextTurn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) }) // prettier-ignore

/** Writes what many callers want in few commits: while one is on its way to the disk, the next fills up. */
export class GroupCommit {
  readonly #tables: Tables
  readonly #folder: StoreFolder
  readonly #limits: HistoryLimits
  readonly #committed: () => void
  #jobs: Job[] = []
  #last: Known | undefined
  #running: Promise<void> | undefined

  /** @param committed - called after each commit */
  constructor(tables: Tables, folder: StoreFolder, limits: HistoryLimits, committed: () => void) {
    this.#tables = tables
    this.#folder = folder
    this.#limits = limits
    this.#committed = committed
  }

  /** Resolves once what the plan wrote is on the disk. */
  run<T>(plan: Plan<T>, call?: CallOptions): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({
        signal: call?.signal,
        reject,
        plan: (draft) => {
          const result = plan(draft)
          return () => {
            resolve(result)
          }
        },
      })
      this.#running ??= this.#drain()
    })
  }

  /** Refuses what has not begun, and waits for what has. */
  async close(): Promise<void> {
    for (const { reject } of this.#jobs.splice(0)) reject(new StoreClosedError())
    await this.#running
  }

  async #drain(): Promise<void> {
    // Those who ask in the same breath share the first commit too.
    await Promise.resolve()
    while (this.#jobs.length > 0) {
      const jobs = this.#jobs.splice(0, JOBS_PER_COMMIT)
      await this.#carryOut(jobs)
      // Those who were served together often ask for more together: one turn lets them.
      if (jobs.length > 1) await nextTurn()
    }
    this.#running = undefined
  }

  async #carryOut(jobs: readonly Job[]): Promise<void> {
    for (;;) {
      let draft: Draft | undefined
      try {
        draft = new Draft(this.#tables, this.#limits, this.#last)
        const done = this.#plan(jobs, draft)
        if (!draft.isEmpty) {
          if (!(await draft.commit())) continue
          this.#last = draft.committed()
          this.#committed()
        }
        for (const report of done) report()
      } catch (cause) {
        await this.#failed(jobs, cause, draft?.size ?? 0)
      }
      return
    }
  }

  /** Plans all jobs, and returns what tells each of them how it went. */
  #plan(jobs: readonly Job[], draft: Draft): (() => void)[] {
    const done: (() => void)[] = []
    for (const { signal, plan, reject } of jobs) {
      try {
        signal?.throwIfAborted()
        done.push(plan(draft))
      } catch (error) {
        // Told like a success, after the commit: a void draft may be what it stumbled over.
        done.push(() => {
          reject(error)
        })
      }
    }
    return done
  }

  /** Nothing was written. One of several may have been too large, so each gets its own try. */
  async #failed(jobs: readonly Job[], cause: unknown, size: number): Promise<void> {
    const reason = await commitErrorOf(cause)
    if (jobs.length > 1) {
      for (const job of jobs) await this.#carryOut([job])
      return
    }
    const error = (await this.#isFull(reason, size))
      ? new StoreFullError(this.#folder.path, reason.message, reason)
      : new StoreUnavailableError(this.#folder.path, reason.message, 'none', reason)
    for (const { reject } of jobs) reject(error)
  }

  async #isFull(reason: Error & { code?: unknown }, size: number): Promise<boolean> {
    if (NO_ROOM.includes(reason.code) || reason.message.includes('MDB_MAP_FULL')) return true
    // LMDB calls a write that was cut short EIO, as it calls a broken disk: the room that is left tells the two apart.
    return (await roomFor(this.#folder)) < OVERHEAD_BYTES + 2 * size
  }
}
