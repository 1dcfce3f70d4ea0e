import { NETWORK_LINK_GROUP } from '@net/driverapi'
import { addAddress, setLink, type Link, type LinkSettings, type RouteSocket } from '@net/netlink-ffi'
import type { Bridges } from '../bridges.ts'
import type { Interfaces } from '../interfaces.ts'
import type { ServedRoutes } from '../served-routes.ts'
import { writeSysctls } from '../sysctl.ts'
import type { Drift } from './drift.ts'
import type { KernelView } from './kernel-view.ts'
import { rename } from './rename.ts'
import { MISSING, type WantedBridge, type WantedLinks } from './wanted-links.ts'

/** What links are looked at and put right with. All of it is borrowed. */
export interface DriftHands {
  readonly routes: RouteSocket
  readonly view: KernelView
  readonly bridges: Bridges
  readonly interfaces: Interfaces
  readonly served: ServedRoutes
  readonly owner: string
}

/** The first thing about a bridge that is not as it is to be; undefined where all is well. */
export function driftOfBridge(hands: DriftHands, links: WantedLinks, wanted: WantedBridge): Drift | undefined {
  const link = findBridge(hands, links, wanted)
  if (link === undefined) return driftOfMissing(hands, links, wanted)
  return driftOfName(hands, wanted, link) ?? driftOfSettings(hands, wanted, link) ?? driftOfAddresses(hands, wanted)
}

/** The bridge: the one that was made, or one of the same name that takes its place. */
function findBridge({ view, owner }: DriftHands, links: WantedLinks, wanted: WantedBridge): Link | undefined {
  const link = wanted.index === MISSING ? undefined : view.findLink(wanted.index)
  if (link !== undefined) return link
  const other = view.findLink(wanted.name)
  if (other?.kind !== 'bridge') return undefined
  if (wanted.link.kind === 'bridge' && other.alias !== owner) return undefined
  links.renumber(wanted, other.index)
  return other
}

function driftOfMissing(hands: DriftHands, links: WantedLinks, wanted: WantedBridge): Drift {
  const { link } = wanted
  const found = { what: 'bridge-deleted', subject: wanted.name } as const
  // Whoever made it may make it again: it is not ours to make.
  if (link.kind === 'existing-bridge') return found
  return {
    ...found,
    repair: () => {
      const { index } = hands.bridges.create(link)
      links.renumber(wanted, index)
      writeSysctls(wanted.sysctls)
      hands.bridges.configure(link, index)
      // They went off it when it was deleted.
      for (const port of links.portsOf(wanted.name)) {
        if (hands.routes.findLink(port.index) !== undefined) hands.interfaces.attach(port, index)
      }
    },
  }
}

function driftOfName({ routes }: DriftHands, wanted: WantedBridge, { index, name }: Link): Drift | undefined {
  if (name === wanted.name) return undefined
  const found = { what: 'bridge-renamed', subject: wanted.name, detail: name } as const
  if (wanted.link.kind === 'existing-bridge') return found
  return {
    ...found,
    repair: () => {
      rename(routes, index, wanted.name)
    },
  }
}

function driftOfSettings({ routes, owner }: DriftHands, { link, name }: WantedBridge, now: Link): Drift | undefined {
  const setting = (what: Drift['what'], detail: string | undefined, settings: LinkSettings): Drift => ({
    ...{ what, subject: name, detail },
    repair: () => {
      routes.apply(setLink(now.index, settings))
    },
  })
  if (!now.up) return setting('bridge-down', undefined, { up: true })
  if (now.group !== NETWORK_LINK_GROUP) return setting('bridge-changed', 'group', { group: NETWORK_LINK_GROUP })
  if (link.kind === 'existing-bridge') return undefined
  const { mtu, macAddress } = link
  if (now.alias !== owner) return setting('bridge-changed', 'alias', { alias: owner })
  if (now.macAddress !== macAddress) return setting('bridge-changed', 'MAC address', { macAddress })
  if (mtu !== undefined && now.mtu !== mtu) return setting('bridge-changed', 'MTU', { mtu })
  return undefined
}

function driftOfAddresses({ routes }: DriftHands, { link, name, index }: WantedBridge): Drift | undefined {
  const there = new Set(routes.listAddresses(index).map((entry) => entry.address))
  const address = link.addresses.find((wanted) => !there.has(wanted))
  if (address === undefined) return undefined
  return {
    ...{ what: 'address-removed', subject: name, detail: address },
    repair: () => {
      routes.apply(addAddress({ index, address }))
    },
  }
}
