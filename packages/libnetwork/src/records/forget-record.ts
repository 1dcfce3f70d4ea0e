import type { Core } from '../core.ts'
import { RecordNotRefusedError } from '../errors.ts'

/** Forgets a record that nothing can be done with. One that was forgotten already is no error. */
export async function forgetRecord(core: Core, key: string): Promise<void> {
  const { claims } = core.state
  using _lock = await core.locks.lock(`record ${key}`)
  if (claims.isForgotten(key)) return
  if (!claims.refused.has(key)) throw new RecordNotRefusedError(key, [...claims.refused.keys()])
  await core.records.forgetRefused(key)
  const facts = claims.facts(key)
  if (facts.length > 0) await core.executor.changeFirewall({ remove: facts })
  await claims.forget(key)
  core.logger.warn({ key }, 'refused record forgotten')
}
