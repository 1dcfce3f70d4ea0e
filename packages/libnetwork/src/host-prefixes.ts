import { readFileSync } from 'node:fs'
import type { Executor } from '@net/osl'
import { parseAddress, type CallOptions } from '@net/types'

/**
 * What a pool that nobody chose must not overlap: the networks that the host has a link on, and its name
 * servers. Routes through a gateway do not count: a VPN's halves of the address space would leave nothing.
 */
export async function hostPrefixes(executor: Executor, call?: CallOptions): Promise<string[]> {
  return [...(await executor.hostPrefixes(call)), ...nameServers()]
}

function nameServers(): string[] {
  try {
    return parseNameServers(readFileSync('/etc/resolv.conf', 'utf8'))
  } catch {
    return [] // a host without name servers has none to avoid
  }
}

/** The name servers of a resolv.conf, as CIDRs of one address; lines that name none are left out. */
export function parseNameServers(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const address = /^\s*nameserver\s+([^\s%]+)/.exec(line)?.[1]
    if (address === undefined) return []
    try {
      return [`${address}/${parseAddress(address).family === 4 ? 32 : 128}`]
    } catch {
      return []
    }
  })
}
