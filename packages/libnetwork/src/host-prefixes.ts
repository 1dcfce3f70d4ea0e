import type { CallOptions } from '@net/types'
import type { Core } from './core.ts'

/**
 * What a pool that nobody chose must not overlap: the networks that the host has a link on, and its name servers, those
 * behind systemd-resolved too. Routes through a gateway do not count: a VPN's halves of the address space would leave
 * nothing.
 */
export async function hostPrefixes({ executor, naming }: Core, call?: CallOptions): Promise<string[]> {
  const { current, reachable } = naming.host
  const servers = new Set([...current.nameServers, ...reachable.nameServers])
  return [...(await executor.hostPrefixes(call)), ...Array.from(servers, prefixOf)]
}

/** An address alone, as CIDR. */
function prefixOf(server: string): string {
  const [address = ''] = server.split('%')
  return `${address}/${address.includes(':') ? 128 : 32}`
}
