import type { NftElement, NftVerdict } from '@net/netlink-ffi'
import { protocolNumbers } from '@net/types'
import type { CheckedFact, CheckedLink, CheckedNetwork, CheckedOpenPort, CheckedPort } from './fact.ts'
import type { SetName } from './sets.ts'
import { shiftsOf } from './shift.ts'

/** An element, and the set that it is in. */
export interface PlacedElement extends NftElement {
  readonly set: SetName
}

/** Whether a fact is a range of ports that leads to others. */
export function isShifted(fact: CheckedFact): boolean {
  return fact.kind === 'port' && fact.count > 1 && fact.hostPort !== fact.containerPort
}

/** The elements that a fact is in the kernel. */
export function elementsOf(fact: CheckedFact): PlacedElement[] {
  switch (fact.kind) {
    case 'network':
      return networkElements(fact)
    case 'port':
      return fact.count === 1 ? [portElement(fact)] : rangeElements(fact)
    case 'open-port':
      return [openPortElement(fact)]
    case 'link':
      return [linkElement(fact)]
    case 'forwarding':
      return [{ set: 'between_others', key: [`ipv${fact.family}`], data: 'drop' }]
  }
}

function networkElements(network: CheckedNetwork): PlacedElement[] {
  const { bridge, internal, masquerade, sources, inbound, trusted } = network
  return [
    { set: 'bridges', key: [bridge] },
    { set: 'intra', key: [bridge, bridge], data: intraVerdict(network) },
    { set: 'own', key: [bridge, bridge], data: 'goto hairpin' },
    ...families.map(
      (family) =>
        ({
          set: 'to_network',
          key: [family, bridge],
          data: internal ? 'drop' : inboundChains[inbound[family]],
        }) as const,
    ),
    ...trusted.map((name) => ({ set: 'trusted', key: [name, bridge] }) as const),
    ...(internal ? [{ set: 'from_network', key: [bridge], data: 'drop' } as const] : []),
    ...masquerade.map((family) => {
      const source = sources[`ipv${family}`]
      if (source === undefined) return { set: `masquerade${family}`, key: [bridge] } as const
      return { set: `source${family}`, key: [bridge], data: [source] } as const
    }),
  ]
}

const families = ['ipv4', 'ipv6'] as const
const inboundChains = { published: 'goto inbound', routed: 'goto routed', all: 'goto unprotected' } as const

/** Containers that may not speak with each other still reach what is published, as everybody does, and what they are linked to. */
function intraVerdict({ internal, interContainer }: CheckedNetwork): NftVerdict {
  if (interContainer) return 'accept'
  return internal ? 'drop' : 'goto apart'
}

function openPortElement({ family, address, protocol, port, count }: CheckedOpenPort): PlacedElement {
  const key = [address, protocolNumbers[protocol]]
  if (count === 1) return { set: `open${family}`, key: [...key, port] }
  return { set: `open${family}_ranges`, key: [...key, port], keyEnd: [...key, port + count - 1] }
}

function linkElement({ family, protocol, from, to, port }: CheckedLink): PlacedElement {
  return { set: `links${family}`, key: [from, to, protocolNumbers[protocol], port] }
}

/** Every address of a family, as a range of them. */
const everyAddress = {
  4: ['0.0.0.0', '255.255.255.255'],
  6: ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
} as const

function rangeElements(port: CheckedPort): PlacedElement[] {
  const { family, hostAddress, hostPort, containerAddress, containerPort, count } = port
  const [from, to] = hostAddress === undefined ? everyAddress[family] : [hostAddress, hostAddress]
  const protocol = protocolNumbers[port.protocol]
  const keys = (first: number, last: number): Pick<NftElement, 'key' | 'keyEnd'> => ({
    key: [from, protocol, first],
    keyEnd: [to, protocol, last],
  })
  if (hostPort === containerPort) {
    return [{ set: `ranges${family}`, ...keys(hostPort, hostPort + count - 1), data: [containerAddress] }]
  }
  return shiftsOf(hostPort, containerPort, count).flatMap(({ first, last, newFirst, newLast }) => [
    { set: `shifted${family}`, ...keys(first, last), data: [containerAddress] },
    { set: `shifted${family}_first`, ...keys(first, last), data: [newFirst] },
    { set: `shifted${family}_last`, ...keys(first, last), data: [newLast] },
  ])
}

function portElement(port: CheckedPort): PlacedElement {
  const { family, hostAddress, hostPort } = port
  const data = [port.containerAddress, port.containerPort]
  const protocol = protocolNumbers[port.protocol]
  return hostAddress === undefined
    ? { set: `ports${family}`, key: [protocol, hostPort], data }
    : { set: `ports${family}_by_address`, key: [hostAddress, protocol, hostPort], data }
}
