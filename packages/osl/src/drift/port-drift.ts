import type { Link } from '@net/netlink-ffi'
import { isSandbox } from '../sandbox-namespace.ts'
import type { DriftHands } from './bridge-drift.ts'
import type { Drift } from './drift.ts'
import { rename } from './rename.ts'
import { MISSING, type WantedLinks, type WantedPort } from './wanted-links.ts'

/** The first thing about an interface's end on the host that is not as it is to be; undefined where all is well. */
export function driftOfPort(hands: DriftHands, links: WantedLinks, wanted: WantedPort): Drift | undefined {
  const bridgeIndex = links.bridgeIndex(wanted.link.create.master)
  if (bridgeIndex === undefined) return undefined
  const near = findPort(hands, links, wanted)
  const isOff = near?.master !== bridgeIndex
  if (near?.name === wanted.name && near.up && !isOff) return undefined
  // The bridge's own drift: the port follows. One of the same name may be somebody else's.
  if (isOff && hands.view.findLink(bridgeIndex) === undefined) return undefined
  if (near === undefined) return driftOfMissing(hands, links, wanted)
  if (near.name !== wanted.name) {
    return {
      ...{ what: 'interface-renamed', subject: wanted.name, detail: near.name },
      repair: () => {
        rename(hands.routes, near.index, wanted.name)
      },
    }
  }
  return {
    ...{ what: isOff ? 'interface-detached' : 'interface-down', subject: wanted.name },
    repair: () => {
      hands.interfaces.attach(wanted, bridgeIndex)
    },
  }
}

function findPort({ view, owner }: DriftHands, links: WantedLinks, wanted: WantedPort): Link | undefined {
  const near = wanted.index === MISSING ? undefined : view.findLink(wanted.index)
  if (near !== undefined) return near
  const other = view.findLink(wanted.name)
  if (other?.alias !== owner) return undefined
  links.renumber(wanted, other.index)
  return other
}

function driftOfMissing({ interfaces, served }: DriftHands, links: WantedLinks, wanted: WantedPort): Drift {
  const { key, link } = wanted
  if (!isSandbox(key)) return { what: 'namespace-lost', subject: key }
  return {
    ...{ what: 'interface-deleted', subject: wanted.name },
    repair: () => {
      const near = interfaces.create(key, link)
      links.renumber(wanted, near.index)
      interfaces.configure(key, link, served.by(key, link.name))
      interfaces.setUp(near, link.create)
    },
  }
}
