import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { listBoundSockets } from '@net/netlink-ffi'
import { ip, ipIn, nftRuleset } from '@net/netlink-ffi/testing'

/** What the host holds of a controller, as other programs tell, a line a thing: see `linesOfNetwork` and `linesOfPlace`. */
export function hostView(controllerId: string, folder: string): string[] {
  const namespaces = readdirSync(folder)
    .filter((name) => !/^(proxy|keys)$|\.files$/.test(name))
    .map((name) => join(folder, name))
  return [
    ...linksOf(controllerId),
    ...namespaces.map((key) => `namespace ${key}`),
    ...namespaces.flatMap(interfacesIn),
    ...rules(),
    ...heldPorts(),
  ].sort()
}

interface IpLink {
  readonly ifname: string
  readonly ifalias?: string
  readonly address: string
  readonly master?: string
  readonly flags: readonly string[]
  readonly linkinfo?: { readonly info_kind?: string }
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number; readonly scope: string }[]
}

function addressesOf({ addr_info: all }: IpLink): string {
  return all
    .filter(({ scope }) => scope === 'global')
    .map(({ local, prefixlen }) => ` ${local}/${prefixlen}`)
    .join('')
}

function linksOf(controllerId: string): string[] {
  const own = (ip('addr', 'show') as IpLink[]).filter(({ ifalias }) => ifalias === `net:${controllerId}`)
  return own.map((link) => {
    const state = link.flags.includes('UP') ? 'up' : 'down'
    if (link.linkinfo?.info_kind === 'bridge') return `bridge ${link.ifname}${addressesOf(link)} ${state}`
    return `port of ${link.master} ${state}`
  })
}

function interfacesIn(key: string): string[] {
  const links = (ipIn(key, 'addr', 'show') as IpLink[]).filter(({ ifname }) => ifname !== 'lo')
  return links.map((link) => `${key} ${link.ifname} ${link.address}${addressesOf(link)}`)
}

type Json = string | number | { readonly [Name in string]: Json } | readonly Json[]

/** What is in the sets and maps, as far as it stands for a network or a port. */
function rules(): string[] {
  const { nftables } = nftRuleset() as { nftables: { map?: NftSet; set?: NftSet }[] }
  return nftables.flatMap(({ map, set }) => {
    const { name = '', elem = [] } = map ?? set ?? {}
    return told.includes(name) ? elem.map((element) => `${name} ${textOf(element)}`) : []
  })
}
interface NftSet {
  readonly name?: string
  readonly elem?: readonly Json[]
}
const told = [4, 6].flatMap((family) => [
  ...['bridges', 'from_network'],
  ...[`masquerade${family}`, `ports${family}`, `ranges${family}`, `shifted${family}`, `ports${family}_by_address`],
])

/** `tcp 8080 10.0.0.2 80`, and `udp 100-104` for a range. */
function textOf(element: Json): string {
  if (typeof element !== 'object') return String(element)
  if ('map' in element || Array.isArray(element)) return Object.values(element).map(textOf).join(' ')
  const { concat, range, prefix, drop } = element as Readonly<Record<string, Json>>
  if (range !== undefined) return (range as readonly number[]).join('-')
  if (prefix !== undefined) return 'every'
  if (drop !== undefined) return 'drop'
  return textOf(concat ?? '')
}

/** The ports that somebody has: held by the controller. What a proxy serves is at `::1`. */
function heldPorts(): string[] {
  const sockets = (['tcp', 'udp'] as const).flatMap(listBoundSockets)
  const held = sockets.filter(({ address }) => address !== '::1')
  return [...new Set(held.map(({ protocol, port }) => `held ${protocol} ${port}`))]
}
