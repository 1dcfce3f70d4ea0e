import { Rollback } from '@net/types'
import type { Core } from './core.ts'
import type { EndpointEntry } from './state.ts'

/** Holds the locks of endpoints until it is disposed. Whoever asks holds that of their sandbox. */
export async function holdEndpoints(core: Core, endpoints: readonly EndpointEntry[]): Promise<Rollback> {
  const held = new Rollback()
  for (const { record } of endpoints) {
    const lock = await core.locks.lock(record.id)
    held.defer(`hold endpoint ${record.name}`, () => {
      lock[Symbol.dispose]()
    })
  }
  return held
}
