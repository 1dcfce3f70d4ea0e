import { isAddress, isCidr, isInterfaceName } from '@net/types'
import { z } from 'zod'
import {
  INTERFACE_PLACEHOLDER,
  type BridgeEndpointOptions,
  type BridgeOptions,
  type LinkedEndpoint,
} from './options.ts'

const address = z.string().refine((text) => isAddress(text), 'expected an IPv4 or IPv6 address')
const ipv4 = z.string().refine((text) => isAddress(text, 4), 'expected an IPv4 address')
const ipv6 = z.string().refine((text) => isAddress(text, 6), 'expected an IPv6 address')
const cidr = z.string().refine((text) => isCidr(text), 'expected an address with its prefix length')
const ipv4Cidr = z.string().refine((text) => isCidr(text, 4), 'expected an IPv4 address with its prefix length')
const ipv6Cidr = z.string().refine((text) => isCidr(text, 6), 'expected an IPv6 address with its prefix length')
const interfaceName = z.string().refine(isInterfaceName, 'expected an interface name')
const gatewayMode = z.enum(['nat', 'nat-unprotected', 'routed', 'isolated'])

/** As endpointLabels make them. */
const SYSCTL_PATH = new RegExp(`^net/[a-z0-9_-]+/[a-z0-9_-]+/${INTERFACE_PLACEHOLDER}/[a-z0-9_-]+$`)

/** The form of {@link BridgeOptions} in a store. A member that older versions did not have is optional here. */
const networkOptions: z.ZodType<BridgeOptions> = z.strictObject({
  bridge: interfaceName,
  existing: z.strictObject({ addresses: z.array(cidr), routesLocalnet: z.boolean() }).optional(),
  isDefault: z.boolean(),
  mtu: z.int().min(68).max(65_535).optional(),
  masquerade: z.boolean(),
  sources: z.strictObject({ ipv4: ipv4.optional(), ipv6: ipv6.optional() }),
  interContainer: z.boolean(),
  gatewayModes: z.strictObject({ ipv4: gatewayMode, ipv6: gatewayMode }),
  inhibitIpv4: z.boolean(),
  hostBinding: address.optional(),
  trustedInterfaces: z.array(interfaceName),
  interfacePrefix: interfaceName,
})

const linkedEndpoint: z.ZodType<LinkedEndpoint> = z.strictObject({
  address: ipv4Cidr.optional(),
  address6: ipv6Cidr.optional(),
  exposed: z.array(z.strictObject({ protocol: z.enum(['tcp', 'udp', 'sctp']), port: z.int().min(1).max(65_535) })),
})

/** The form of {@link BridgeEndpointOptions} in a store. */
const endpointOptions: z.ZodType<BridgeEndpointOptions> = z.strictObject({
  interfaceName: interfaceName.optional(),
  sysctls: z
    .array(
      z.strictObject({
        // What is not such a path would be written all the same, as root.
        path: z.string().regex(SYSCTL_PATH, 'expected a setting of an interface'),
        value: z.string(),
        optional: z.boolean().optional(),
      }),
    )
    .optional(),
  parents: z.array(linkedEndpoint).optional(),
  children: z.array(linkedEndpoint).optional(),
})

/** What a network remembers, as a store has it. Throws when it is none of that. */
export function readNetworkOptions(stored: unknown): BridgeOptions {
  return networkOptions.parse(stored)
}

/** As {@link readNetworkOptions}, of an endpoint. */
export function readEndpointOptions(stored: unknown): BridgeEndpointOptions {
  return endpointOptions.parse(stored)
}
