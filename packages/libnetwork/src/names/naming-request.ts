import { isDomainName } from '@net/resolver'
import { shortId } from '@net/types'
import type { CreateSandboxRequest } from '../requests.ts'
import type { NamingWishes } from './sandbox-naming.ts'

/** What a request wants of a sandbox' names. */
export function namingWishesOf(request: CreateSandboxRequest, sandboxId: string): NamingWishes {
  const { containerId, hostname, domainname, extraHosts = {}, dns = {} } = request
  return {
    hostname: hostname ?? defaultHostname(containerId, sandboxId),
    domainname,
    extraHosts: Object.entries(extraHosts).flatMap(([name, addresses]) =>
      [addresses].flat().map((address) => ({ address, names: [name] })),
    ),
    dns: dns === false ? undefined : dns,
  }
}

/** The beginning of the container's id, as Docker names a host; of the sandbox' own where that can be no name. */
function defaultHostname(containerId: string, sandboxId: string): string {
  const name = shortId(containerId)
  return /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(name) && isDomainName(name) ? name : shortId(sandboxId)
}
