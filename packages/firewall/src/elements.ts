import type { NftElement, NftVerdict } from '@net/netlink-ffi'
import { protocolNumbers } from '@net/types'
import type { CheckedFact, CheckedNetwork, CheckedOpenPort, CheckedPort } from './fact.ts'
import type { SetName } from './sets.ts'

/** An element, and the set that it is in. */
export interface PlacedElement extends NftElement {
  readonly set: SetName
}

/**
 * What packets of the host itself come from and, where frames on bridges pass the packet rules
 * (bridge-nf-call-iptables), those that stay on their bridge.
 */
const NO_INTERFACE = ''

/** The elements that a fact is in the kernel. */
export function elementsOf(fact: CheckedFact): PlacedElement[] {
  switch (fact.kind) {
    case 'network':
      return networkElements(fact)
    case 'port':
      return [portElement(fact)]
    case 'open-port':
      return [openPortElement(fact)]
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
    { set: 'own', key: [NO_INTERFACE, bridge], data: 'goto hairpin' },
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

/** Containers that may not speak with each other still reach what is published, as everybody does. */
function intraVerdict({ internal, interContainer }: CheckedNetwork): NftVerdict {
  if (interContainer) return 'accept'
  return internal ? 'drop' : 'goto inbound'
}

function openPortElement({ family, address, protocol, port }: CheckedOpenPort): PlacedElement {
  return { set: `open${family}`, key: [address, protocolNumbers[protocol], port] }
}

function portElement(port: CheckedPort): PlacedElement {
  const { family, hostAddress, hostPort } = port
  const data = [port.containerAddress, port.containerPort]
  const protocol = protocolNumbers[port.protocol]
  return hostAddress === undefined
    ? { set: `ports${family}`, key: [protocol, hostPort], data }
    : { set: `ports${family}_by_address`, key: [hostAddress, protocol, hostPort], data }
}
