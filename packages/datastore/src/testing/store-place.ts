import { afterEach, beforeEach, expect } from 'vitest'
import type { Store, StoreChange } from '../store.ts'

/** A fresh, empty place for a store, and what the suite may do to it. */
export interface StorePlace {
  /** The place, open. The suite closes it. */
  readonly store: Store
  /** Opens it once more, as another holder. Absent: there is one holder at most, and nothing outlives it. */
  readonly openAgain?: (() => Promise<Store>) | undefined
  /** Spoils the stored value of a key behind the store's back. Absent: there is no way to. */
  readonly damage?: ((key: string) => Promise<void>) | undefined
  /** Has the place forget all changes up to now. It may write keys that begin with `~` to do so. */
  readonly forgetHistory: () => Promise<void>
  /** Ends a lease as if its holder had stood still for too long. Absent: there is no way to. */
  readonly expireLease?: ((id: string) => Promise<void>) | undefined
  /** Removes the place, once all its stores are closed. */
  readonly remove?: (() => Promise<void>) | undefined
}

/** What not every place can do. */
export type Ability = 'openAgain' | 'damage' | 'expireLease'

/** Whether places can do it. Of what they cannot, there are no tests. */
export type Can = (ability: Ability) => boolean

/** Opens a fresh place. */
export type OpenPlace = () => Promise<StorePlace>

/** The place of the test that is running. */
export interface Setup {
  readonly store: Store
  readonly place: StorePlace
  /** The place, opened once more. */
  again(): Promise<Store>
}

/** Gives each test of the current `describe` a place of its own, and removes it afterwards. */
export function setUp(open: OpenPlace): Setup {
  let place: StorePlace | undefined
  const others: Store[] = []
  const current = (): StorePlace => place!
  beforeEach(async () => {
    place = await open()
  })
  afterEach(async () => {
    await Promise.all([current().store, ...others.splice(0)].map((store) => store.close()))
    await current().remove?.()
  })
  return {
    get store() {
      return current().store
    },
    get place() {
      return current()
    },
    async again() {
      const store = await current().openAgain!()
      others.push(store)
      return store
    },
  }
}

/** What an error with this code is compared with. */
export const code = (name: string, rest: object = {}): object =>
  expect.objectContaining({ code: name, ...rest }) as object

const encoder = new TextEncoder()

/** Bytes of a text. */
export const bytes = (value: string): Uint8Array => encoder.encode(value)

/** The text in bytes. */
export const text = (value: Uint8Array): string => new TextDecoder().decode(value)

/** All of a watch's changes, one at a time. */
export function reader(changes: AsyncIterable<StoreChange>): AsyncIterator<StoreChange> {
  return changes[Symbol.asyncIterator]()
}

/** The next change of a watch that has not ended. */
export async function nextChange(changes: AsyncIterator<StoreChange>): Promise<StoreChange> {
  const result = await changes.next()
  if (result.done === true) throw new Error('the watch has ended')
  return result.value
}

/** The events of the next change, in words and in order of keys: `put a/1 = one`, `delete a/2`. */
export async function nextEvents(changes: AsyncIterator<StoreChange>): Promise<string[]> {
  return inWords(await nextChange(changes))
}

/** A change in words, as {@link nextEvents} gives it. */
export function inWords(change: StoreChange): string[] {
  const words = change.events.map((event) =>
    event.type === 'put' ? `put ${event.key} = ${text(event.value)}` : `${event.type} ${event.key}`,
  )
  return words.sort()
}

/** Begins to watch and reads the first change, whichever way a store refuses to. */
export async function firstChange(watch: () => AsyncIterable<StoreChange>): Promise<IteratorResult<StoreChange>> {
  return reader(watch()).next()
}

/** Resolves once the signal has fired. */
export function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => { resolve() }) // prettier-ignore
  })
}
