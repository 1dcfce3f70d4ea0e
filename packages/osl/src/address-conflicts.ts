import type { JoinPlan } from '@net/driverapi'
import { RouteSocket } from '@net/netlink-ffi'
import { withoutPrefixLength, type CallOptions, type Logger } from '@net/types'
import { AddressConflictError } from './errors.ts'
import { inSandbox } from './sandbox-namespace.ts'

/**
 * Refuses a plan whose addresses links of the sandbox at `key` have. The kernel would take them, and lead what is for
 * one of the links to the other. Link-local ones are each link's own.
 *
 * @throws AddressConflictError (`ERR_ADDRESS_CONFLICT`), SandboxNotFoundError (`ERR_SANDBOX_NOT_FOUND`)
 */
export async function refuseConflicts(
  key: string,
  { links, existing = [] }: JoinPlan['sandbox'],
  options: CallOptions & { readonly logger: Logger },
): Promise<void> {
  using inside = inSandbox(key, () => RouteSocket.open(options))
  const wanted = new Set([...links, ...existing].flatMap(({ addresses }) => addresses).map(withoutPrefixLength))
  for (const { address, index } of await inside.listAddressesOffLoop(options)) {
    const taken = withoutPrefixLength(address)
    if (!wanted.has(taken) || taken.startsWith('fe80:')) continue
    throw new AddressConflictError(taken, inside.findLink(index)?.name ?? `link ${index}`, key)
  }
}
