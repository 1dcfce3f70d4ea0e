import { watchRules, type RuleAuthor, type RuleChange, type RuleEvent, type TableReference } from '@net/netlink-ffi'
import { Backoff } from '@net/types'
import { describeChanges } from './describe-changes.ts'
import type { FirewallEvent } from './events.ts'

/**
 * Whoever removes the table all the time gets it back within a second each time, not at once: without it packets
 * pass, so the wait is short.
 */
const WAITS = { firstMs: 50, maxMs: 1_000, quietMs: 10_000 } as const

/** So many changes are remembered for the report while the table waits to be put in place. */
const REMEMBERED = 100

/** What a guard needs of the table that it guards. */
export interface GuardedTable {
  readonly table: TableReference
  /** The netlink port of whoever changes it by right. */
  readonly port: number
  /** Whether all of it is as it should be. */
  isIntact(): boolean
  /** Puts all of it in place. */
  restore(): void
  /** Whether a change of that generation was undone already, by what was put in place since. */
  isPast(generation: number): boolean
}

/** What somebody did to the table. */
interface Damage {
  readonly changes: readonly RuleChange[]
  readonly by: RuleAuthor | undefined
}

/** What to do about other programs that change a table: nothing, tell of it, or put it in place again as well. */
export type GuardAnswer = 'off' | 'report' | 'repair'

/** How a table is guarded, and who is told. */
export interface GuardOptions {
  readonly answer: GuardAnswer
  readonly tell: (event: FirewallEvent) => void
  /** Told of all that other programs change, whatever the answer. @defaultValue nobody is */
  readonly alsoNotice?: ((event: RuleEvent) => void) | undefined
}

/** Notices what other programs do to a table, and answers it. */
export class TableGuard {
  readonly #guarded: GuardedTable
  readonly #answer: GuardAnswer
  readonly #tell: (event: FirewallEvent) => void
  readonly #backoff = new Backoff(WAITS)
  readonly #watch: { close(): void }
  #damage: Damage | undefined
  /** The loss was told, and nothing has been better since. */
  #isLost = false
  #timer: NodeJS.Timeout | undefined

  /** Watches from now on. @throws SystemCallError (`ERR_SYSTEM_CALL`): EPERM */
  constructor(guarded: GuardedTable, { answer, tell, alsoNotice }: GuardOptions) {
    this.#guarded = guarded
    this.#answer = answer
    this.#tell = tell
    this.#watch = watchRules(
      (event) => {
        if (answer !== 'off') this.#notice(event)
        alsoNotice?.(event)
      },
      { except: guarded.port },
    )
  }

  /** Watches no more. Safe to call twice. */
  close(): void {
    this.#watch.close()
    clearTimeout(this.#timer)
  }

  #notice(event: RuleEvent): void {
    const damage = event.kind === 'commit' ? this.#damageOf(event.changes, event.by) : this.#damageUnseen()
    if (damage === undefined) return
    if (event.kind === 'commit' && this.#guarded.isPast(event.generation)) {
      this.#tell({ kind: 'rules-restored', ...this.#describe(damage) })
      return
    }
    if (this.#answer === 'report') {
      this.#tell({ kind: 'rules-changed', ...this.#describe(damage) })
      return
    }
    const changes = [...(this.#damage?.changes ?? []), ...damage.changes].slice(0, REMEMBERED)
    this.#damage = { changes, by: damage.by }
    this.#schedule()
  }

  #damageOf(changes: readonly RuleChange[], by: RuleAuthor | undefined): Damage | undefined {
    const { family, name } = this.#guarded.table
    const ours = changes.filter(({ table }) => table.family === family && table.name === name)
    return ours.length === 0 ? undefined : { changes: ours, by }
  }

  /** Events were lost: nobody told whether the table is among what was changed. */
  #damageUnseen(): Damage | undefined {
    return this.#guarded.isIntact() ? undefined : { changes: [], by: undefined }
  }

  #schedule(): void {
    if (this.#timer !== undefined) return
    const waitMs = this.#backoff.next(performance.now())
    if (waitMs === 0) {
      this.#restore()
      return
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#restore()
    }, waitMs)
    this.#timer.unref()
  }

  #restore(): void {
    const damage = this.#damage
    if (damage === undefined) return
    try {
      this.#guarded.restore()
      this.#damage = undefined
      this.#isLost = false
      this.#tell({ kind: 'rules-restored', ...this.#describe(damage) })
    } catch (error) {
      if (!this.#isLost) this.#tell({ kind: 'rules-lost', ...this.#describe(damage), error: error as Error })
      this.#isLost = true
      this.#schedule()
    }
  }

  #describe({ changes, by }: Damage): { table: string; what: string; by: RuleAuthor | undefined } {
    const { family, name } = this.#guarded.table
    const what = changes.length === 0 ? 'changes that were not seen' : describeChanges(changes)
    return { table: `${family} ${name}`, what, by }
  }
}
