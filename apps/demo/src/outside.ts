import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import {
  addAddress,
  addRoute,
  createNamespace,
  deleteNamespace,
  inNamespaceAt,
  RouteSocket,
  setLink,
} from '@net/netlink-ffi'
import { randomId, Rollback } from '@net/types'
import type { Spawn } from './programs.ts'

/** One end of the cable between the host and the outside client. */
export interface CableEnd {
  readonly interfaceName: string
  readonly ipv4: string
  readonly ipv6: string
  readonly prefixLengths: { readonly ipv4: number; readonly ipv6: number }
}

/** A machine that is not the host: a network namespace at the other end of a cable. */
export interface Outside {
  readonly host: CableEnd
  readonly client: CableEnd
  readonly spawn: Spawn
  /** Takes it away, cable included. */
  delete(): Promise<void>
}

// Addresses for documentation: RFC 5737 and RFC 3849. No network of this machine should have them.
const prefixLengths = { ipv4: 24, ipv6: 64 } as const
const hostAddresses = { ipv4: '198.51.100.1', ipv6: '2001:db8::1', prefixLengths } as const
const clientAddresses = { ipv4: '198.51.100.2', ipv6: '2001:db8::2', prefixLengths } as const

/** Makes the outside client, its namespace mounted in `folder`, or leaves nothing behind. */
export async function createOutside(folder: string): Promise<Outside> {
  const path = join(folder, 'outside')
  const host = { interfaceName: `out-${randomId().slice(0, 8)}`, ...hostAddresses }
  const client = { interfaceName: 'eth0', ...clientAddresses }
  await using rollback = new Rollback()

  createNamespace(path, () => undefined)
  rollback.defer('create namespace', () => {
    deleteNamespace(path)
  })
  layCable(path, host, client)
  rollback.defer('lay cable', () => removeCable(host))
  configureClient(path, client, host)

  rollback.commit()
  return {
    host,
    client,
    spawn: (command, args, options) => inNamespaceAt(path, () => spawn(command, args, options)),
    delete: async () => {
      await removeCable(host)
      deleteNamespace(path)
    },
  }
}

function layCable(path: string, host: CableEnd, client: CableEnd): void {
  using routes = RouteSocket.open()
  const namespaceFd = openSync(path, 'r')
  try {
    const peer = { name: client.interfaceName, namespaceFd }
    const { index } = routes.createLink({ kind: 'veth', name: host.interfaceName, peer })
    routes.apply(setLink(index, { up: true }), ...addressesOf(host).map((address) => addAddress({ index, address })))
  } finally {
    closeSync(namespaceFd)
  }
}

/** Its way to everything leads through the host: whatever it does not reach, the host keeps from it. */
function configureClient(path: string, client: CableEnd, host: CableEnd): void {
  using routes = inNamespaceAt(path, () => RouteSocket.open())
  const { index } = routes.getLink(client.interfaceName)
  routes.apply(
    setLink('lo', { up: true }),
    setLink(index, { up: true }),
    ...addressesOf(client).map((address) => addAddress({ index, address })),
    addRoute({ destination: '0.0.0.0/0', gateway: host.ipv4 }),
    addRoute({ destination: '::/0', gateway: host.ipv6 }),
  )
}

async function removeCable({ interfaceName }: CableEnd): Promise<void> {
  using routes = RouteSocket.open()
  const link = routes.findLink(interfaceName)
  if (link !== undefined) await routes.deleteLinks([link.index])
}

/** The addresses of a cable's end, as CIDRs. */
export function addressesOf({ ipv4, ipv6, prefixLengths: lengths }: CableEnd): string[] {
  return [`${ipv4}/${lengths.ipv4}`, `${ipv6}/${lengths.ipv6}`]
}
