import type { EndpointNames } from '@net/resolver'
import { withoutPrefixLength } from '@net/types'
import type { Core } from '../core.ts'
import { isGatewayEndpoint } from '../gateway-network.ts'
import { isAwaited, orderByGateway, orderByNames } from '../gateways.ts'
import type { EndpointEntry, SandboxEntry } from '../state.ts'
import { NOWHERE, type NamingView } from './sandbox-naming.ts'

/** Makes the names of an endpoint that joined known on its network, and tells its sandbox where it is now. */
export async function appear(core: Core, entry: EndpointEntry, sandbox: SandboxEntry): Promise<void> {
  introduce(core, entry, sandbox)
  await updateNaming(core, sandbox)
}

/** Makes the network forget the names of an endpoint. */
export function vanish(core: Core, { record }: EndpointEntry): void {
  core.state.networks.get(record.networkId)?.names.remove(record.id)
}

/** Has a sandbox' names go on where an earlier process ended. Those of its endpoints must be known. */
export async function adoptNaming(core: Core, sandbox: SandboxEntry): Promise<void> {
  await sandbox.naming.adopt(viewOf(core, sandbox))
}

/** Makes the names of an endpoint known on its network. */
export function introduce(core: Core, entry: EndpointEntry, sandbox: SandboxEntry): void {
  if (isGatewayEndpoint(entry, sandbox)) return
  core.state.getNetwork(entry.record.networkId).names.add(namesOf(entry, sandbox))
}

/** Tells a sandbox' names where it is now. */
export async function updateNaming(core: Core, sandbox: SandboxEntry): Promise<void> {
  await sandbox.naming.update(viewOf(core, sandbox))
}

/** One that waits for its namespace is nowhere yet, or no more. */
function viewOf(core: Core, sandbox: SandboxEntry): NamingView {
  if (isAwaited(sandbox)) return NOWHERE
  const endpoints = orderByGateway(sandbox)
  const named = endpoints.filter((entry) => !isGatewayEndpoint(entry, sandbox))
  return {
    networks: orderByNames(core, sandbox)
      .filter((entry) => !isGatewayEndpoint(entry, sandbox))
      .map(({ record }) => ({
        table: core.state.getNetwork(record.networkId).names,
        aliases: record.sandboxAliases,
      })),
    addresses: named.flatMap((endpoint) => addressesOf(endpoint)),
    gateways: endpoints.flatMap(({ record, gatewayFor }) => {
      const { ipv4, ipv6 } = core.state.getNetwork(record.networkId).record
      return [...(gatewayFor.includes(4) ? gatewayOf(ipv4) : []), ...(gatewayFor.includes(6) ? gatewayOf(ipv6) : [])]
    }),
  }
}

function namesOf(entry: EndpointEntry, sandbox: SandboxEntry): EndpointNames {
  const { id, name, aliases } = entry.record
  const { containerId, hostname, domainname } = sandbox.record
  const full = domainname === undefined ? [] : [`${hostname}.${domainname}`]
  return { id, name, aliases: [...aliases, hostname, ...full], containerId, addresses: addressesOf(entry) }
}

function addressesOf({ record }: EndpointEntry): string[] {
  return [record.address, record.address6].flatMap((cidr) => (cidr === undefined ? [] : withoutPrefixLength(cidr)))
}

function gatewayOf(subnet: { readonly gateway: string } | undefined): string[] {
  return subnet === undefined ? [] : [withoutPrefixLength(subnet.gateway)]
}
