import type { Store } from '@net/datastore'
import type { Logger } from '@net/types'
import type { SpaceKeys } from './stored-records.ts'

/** Keys that one transaction deletes. */
const BATCH = 100

/** What a sweeper works with. */
export interface SweeperDeps {
  readonly store: Store
  readonly keys: SpaceKeys
  readonly logger: Logger
}

/**
 * Deletes what is left of pools that were let go: their addresses and owners, and at last the note that there is
 * something to delete. Whoever opens the store next finishes what a process that died had begun. Pools are taken anew
 * meanwhile: what is left of a former one counts for nobody.
 */
export class Sweeper {
  readonly #deps: SweeperDeps
  readonly #notes = new Set<string>()
  #areOthersKnown = false
  #sweeping: Promise<void> | undefined

  constructor(deps: SweeperDeps) {
    this.#deps = deps
  }

  /** Whether nothing is being swept. */
  get isIdle(): boolean {
    return this.#sweeping === undefined
  }

  /** Remembers a pool to sweep, by the key of the note. */
  add(note: string): void {
    this.#notes.add(note)
  }

  /** Sweeps what is remembered and, the first time, what others left. Never rejects: what fails is tried again next time. */
  async sweep(): Promise<void> {
    await this.#sweeping
    this.#sweeping ??= this.#sweepAll().finally(() => {
      this.#sweeping = undefined
    })
    await this.#sweeping
  }

  async #sweepAll(): Promise<void> {
    await this.#attempt({}, 'what is left of released pools could not be listed yet', () => this.#findOthers())
    for (const note of [...this.#notes]) {
      await this.#attempt({ key: note }, 'the addresses of a released pool could not be deleted yet', async () => {
        await this.#sweepOne(note)
        this.#notes.delete(note)
      })
    }
  }

  async #findOthers(): Promise<void> {
    if (this.#areOthersKnown) return
    const { store, keys } = this.#deps
    // What a note holds says nothing: one that is damaged is as good.
    const { entries, damaged } = await store.list(keys.doomed)
    for (const note of [...entries.map(({ key }) => key), ...damaged]) this.add(note)
    this.#areOthersKnown = true
  }

  async #sweepOne(note: string): Promise<void> {
    const { store, keys } = this.#deps
    const incarnation = note.slice(note.lastIndexOf('/') + 1)
    for (const prefix of [keys.addresses(incarnation), keys.owners(incarnation)]) await deleteAll(store, prefix)
    await store.delete(note)
  }

  async #attempt(fields: object, message: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#deps.logger.error({ ...fields, err: error }, message)
    }
  }
}

async function deleteAll(store: Store, prefix: string): Promise<void> {
  for (;;) {
    const { entries, damaged, more } = await store.list(prefix, { limit: BATCH })
    const found = [...entries.map(({ key }) => key), ...damaged].slice(0, BATCH)
    if (found.length > 0) await store.transaction(found.map((key) => ({ type: 'delete', key })))
    if (!more && found.length < BATCH) return
  }
}
