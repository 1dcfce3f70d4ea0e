import { RouteSocket, type Link } from '@net/netlink-ffi'
import { missingAddresses } from '../interfaces.ts'
import { inSandbox } from '../sandbox-namespace.ts'
import type { DriftHands } from './bridge-drift.ts'
import type { Drift } from './drift.ts'
import { routeBy, type SandboxContents } from './kernel-view.ts'
import { rename } from './rename.ts'
import type { WantedPort } from './wanted-links.ts'

/**
 * The first thing about an interface in its sandbox that is not as it is to be; undefined where all is well, and `crowded`
 * where there is too much in there to be looked at.
 */
export function driftOfFarEnd(hands: DriftHands, wanted: WantedPort): Drift | 'crowded' | undefined {
  const { key } = wanted
  const inside = hands.view.lookInside(key)
  if (inside === 'crowded') return inside
  if (inside === 'gone') return { what: 'namespace-lost', subject: key }
  const far = inside.links.find((link) => isFarEnd(link, wanted, inside))
  if (far === undefined) return { what: 'interface-moved', subject: wanted.link.name, sandbox: key }
  return driftOfName(wanted, far) ?? driftOfContents(hands, wanted, { inside, far })
}

/** What a sandbox has of its own may lead to a link of the same number elsewhere. */
function isFarEnd({ kind, peerIndex, peerNamespace }: Link, { index }: WantedPort, { host }: SandboxContents): boolean {
  return kind === 'veth' && peerIndex === index && peerNamespace !== undefined && peerNamespace === host
}

function driftOfName({ key, link }: WantedPort, { name, index }: Link): Drift | undefined {
  if (name === link.name) return undefined
  return {
    ...{ what: 'interface-renamed', subject: link.name, sandbox: key, detail: name },
    repair: () => {
      using inside = inSandbox(key, () => RouteSocket.open())
      rename(inside, index, link.name)
    },
  }
}

function driftOfContents(
  { interfaces, served }: DriftHands,
  { key, link }: WantedPort,
  { inside, far }: { readonly inside: SandboxContents; readonly far: Link },
): Drift | undefined {
  const gateways = served.by(key, link.name)
  const lost = (what: Drift['what'], detail?: string): Drift => ({
    ...{ what, subject: link.name, sandbox: key, detail },
    repair: () => {
      interfaces.restore(key, link, gateways)
    },
  })
  if (!far.up) return lost('interface-down')
  const [address] = missingAddresses(
    inside.addresses.filter(({ index }) => index === far.index),
    link,
  )
  if (address !== undefined) return lost('address-removed', address)
  const isLost = (destination: string): boolean => !inside.routes.has(routeBy(far.index, destination))
  if (gateways.ipv4 !== undefined && isLost('0.0.0.0/0')) return lost('route-removed', '0.0.0.0/0')
  if (gateways.ipv6 !== undefined && isLost('::/0')) return lost('route-removed', '::/0')
  return undefined
}
