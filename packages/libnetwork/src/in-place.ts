import type { JoinPlan } from '@net/driverapi'
import type { CallOptions, Rollback } from '@net/types'
import type { Core } from './core.ts'

/** Gives the sandbox at `key` what an endpoint is to have there, ports of `::1` included; `rollback` takes it away again. */
export async function putInPlace(
  core: Core,
  key: string,
  plan: JoinPlan,
  { rollback, call }: { readonly rollback: Rollback; readonly call: CallOptions | undefined },
): Promise<void> {
  await core.executor.join(key, plan, call)
  rollback.defer('join', () => core.executor.leave(key, plan))
  await core.loopback?.add(plan.firewall, call)
  rollback.defer('lead ::1 there', () => core.loopback?.remove(plan.firewall))
}
