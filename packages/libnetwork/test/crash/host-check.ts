import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { listBoundSockets } from '@net/netlink-ffi'
import { ip, ipIn, nftRuleset } from '@net/netlink-ffi/testing'
import { expect } from 'vitest'
import type { Controller, Endpoint, Sandbox } from '../../src/index.ts'
import type { ExternalNamespace } from '../external-namespace.ts'

/**
 * What the kernel and the folder hold is what the controller says, and nothing else. In namespaces of others, which go
 * on without us, there is what their sandboxes have there; where they have none, nothing.
 */
export async function compareWithHost(
  controller: Controller,
  folder: string,
  others: readonly ExternalNamespace[] = [],
): Promise<void> {
  const described = await controller.describe()
  expect(described.differences).toEqual([])
  const awaited = described.sandboxes.filter(({ namespace }) => namespace === 'awaited').map(({ id }) => id)
  const inPlace = controller.sandboxes().filter(({ id }) => !awaited.includes(id))
  const joined = inPlace.flatMap((sandbox) => sandbox.endpoints().map((endpoint) => ({ sandbox, endpoint })))
  const own = (ip('link', 'show') as { ifname: string; ifalias?: string; linkinfo?: { info_kind?: string } }[]).filter(
    ({ ifalias }) => ifalias === `net:${controller.id}`,
  )
  const bridges = own.filter(({ linkinfo }) => linkinfo?.info_kind === 'bridge').map(({ ifname }) => ifname)
  expect(bridges.sort()).toEqual(
    controller
      .networks()
      .map(({ options }) => (options as { bridge: string }).bridge)
      .sort(),
  )
  expect(own.length - bridges.length).toBe(joined.length)
  const keys = inPlace.map(({ key }) => key)
  const held = readdirSync(join(folder, 'run', controller.id)).filter((name) => !/^(proxy|keys)$|\.files$/.test(name))
  expect(held.map((name) => join(folder, 'run', controller.id, name)).sort()).toEqual(keys.sort())
  for (const { sandbox, endpoint } of joined) {
    const [link] = ipIn(sandbox.key, 'addr', 'show', endpoint.interfaceName ?? '') as {
      addr_info: { local: string; prefixlen: number }[]
    }[]
    const addresses = link?.addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`) ?? []
    expect(addresses).toEqual(
      expect.arrayContaining([endpoint.address, endpoint.address6].filter((one) => one !== undefined)),
    )
  }
  const ports = joined.flatMap(({ endpoint }) => textsOf(endpoint))
  expect(publishedPorts().sort()).toEqual(ports.sort())
  for (const namespace of others) await compareNamespace(namespace, inPlace)
}

/** Namespaces of others are as they were. */
export async function compareWithNothing(others: readonly ExternalNamespace[]): Promise<void> {
  for (const namespace of others) await compareNamespace(namespace, [])
}

async function compareNamespace(namespace: ExternalNamespace, sandboxes: readonly Sandbox[]): Promise<void> {
  const owners = sandboxes.filter(({ key }) => namespace.isAt(key))
  const wanted = owners.flatMap((sandbox) => sandbox.endpoints().map(({ interfaceName }) => interfaceName ?? ''))
  // The kernel takes down a little later what is taken out of a namespace.
  await expect.poll(() => namespace.links().sort()).toEqual(wanted.sort())
  expect(namespace.rules().match(/^table .*(?= \{)/gm) ?? []).toEqual(owners.map(() => 'table ip net-resolver'))
}

/** The ports that IPv4 packets are led by, as `nft` tells. */
export function publishedPorts(): string[] {
  const { nftables } = nftRuleset() as {
    nftables: { map?: { name: string; elem?: [{ concat: [string, number] }, unknown][] } }[]
  }
  const elements = nftables.flatMap(({ map }) => (map?.name === 'ports4' ? (map.elem ?? []) : []))
  return elements.map(([{ concat }]) => `${concat[0]} ${concat[1]}`)
}

/** Every record was understood. */
export async function refuseNothing(controller: Controller): Promise<void> {
  for await (const event of controller.events({ after: 0, signal: AbortSignal.timeout(10) })) {
    if (event.kind === 'drift' && event.outcome === 'lost')
      throw new Error(`lost: ${event.what}`, { cause: event.error })
    if (event.kind === 'proxy-lost') throw new Error('the userland proxy was lost', { cause: event.error })
    if (event.kind === 'record-refused') throw new Error(`${event.key} was refused`, { cause: event.error })
  }
}

/** Its published ports: `tcp 32768`. */
export function textsOf(endpoint: Endpoint): string[] {
  return endpoint
    .ports()
    .map(({ protocol, hostPort }) => `${protocol} ${hostPort}`)
    .sort()
}

/** The ports that somebody serves at `::1`. */
export function proxiedPorts(): string[] {
  const sockets = (['tcp', 'udp'] as const).flatMap(listBoundSockets)
  return sockets.flatMap(({ protocol, address, port }) => (address === '::1' ? `${protocol} ${port}` : [])).sort()
}
