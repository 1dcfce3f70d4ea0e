import { expect } from 'vitest'
import { isNetError } from '@net/types'
import type { Store, StoreLease } from '../store.ts'
import { bytes, nextChange, reader } from './store-place.ts'

/** One thing that happens while leases end. Nobody waits for it before the next one begins. */
export interface LeaseStep {
  readonly type: 'put' | 'delete' | 'release'
  /** Reduced to the keys and leases that there are. */
  readonly key: number
  readonly lease: number
  /** Whether the event loop turns before it begins. */
  readonly isLater: boolean
}

const LEASES = 3
const KEYS = 5

/**
 * Binds entries to leases, deletes them and releases the leases, all at once, and ends what is left. Fails where an
 * entry outlives its lease: in what is listed, or in what a watch of the whole time has been told.
 */
export async function raceLeases(store: Store, steps: readonly LeaseStep[]): Promise<void> {
  const { revision: from } = await store.list('')
  const leases = await Promise.all(Array.from({ length: LEASES }, () => store.lease(60_000)))
  const running: Promise<unknown>[] = []
  for (const step of steps) {
    if (step.isLater) await new Promise((resolve) => { setImmediate(resolve) }) // prettier-ignore
    running.push(begin(store, leases, step))
  }
  await Promise.all([...running, ...leases.map((lease) => lease.release())])
  expect((await store.list('')).entries).toEqual([])
  expect(await leftForWatchers(store, from)).toEqual([])
}

async function begin(store: Store, leases: readonly StoreLease[], step: LeaseStep): Promise<void> {
  const key = `bound/${step.key % KEYS}`
  const lease = leases[step.lease % LEASES]!
  if (step.type === 'release') return lease.release()
  try {
    if (step.type === 'delete') await store.delete(key)
    else await store.put(key, bytes('1'), { lease: lease.id })
  } catch (error) {
    // The lease was over first.
    if (!isNetError(error, 'ERR_NO_SUCH_LEASE')) throw error
  }
}

/** Keys that are there for somebody who has followed all changes. */
async function leftForWatchers(store: Store, from: number): Promise<string[]> {
  const left = new Set<string>()
  const changes = reader(store.watch('', { from }))
  const last = await store.put('last', bytes('1'))
  for (;;) {
    const { revision, events } = await nextChange(changes)
    if (revision >= last) return [...left]
    for (const { type, key } of events)
      if (type === 'put') left.add(key)
      else left.delete(key)
  }
}
