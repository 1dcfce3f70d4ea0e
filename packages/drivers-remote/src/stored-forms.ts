import { isAddress, isCidr, isInterfaceName } from '@net/types'
import { z } from 'zod'
import { isInterfacePrefix, MOST_ROUTES, type JoinAnswer } from './join-answer.ts'
import type { RemoteEndpointOptions, RemoteOptions } from './options.ts'

const interfaceName = z.string().refine(isInterfaceName, 'expected an interface name')
const interfacePrefix = z.string().refine(isInterfacePrefix, 'expected a prefix of interface names')
const ipv4 = z.string().refine((text) => isAddress(text, 4), 'expected an IPv4 address')
const ipv6 = z.string().refine((text) => isAddress(text, 6), 'expected an IPv6 address')
const address = z.string().refine((text) => isAddress(text), 'expected an IPv4 or IPv6 address')
const cidr = z.string().refine((text) => isCidr(text), 'expected an address with its prefix length')
const given = z.record(z.string(), z.unknown())

/** The form of {@link RemoteOptions} in a store. */
const networkOptions: z.ZodType<RemoteOptions> = z.strictObject({
  plugin: z.string(),
  families: z.array(z.union([z.literal(4), z.literal(6)])).optional(),
  given,
})

/** The form of {@link RemoteEndpointOptions} in a store. */
const endpointOptions: z.ZodType<RemoteEndpointOptions> = z.strictObject({ given })

/** The form of {@link JoinAnswer} in a store: what a plugin could have answered. */
const joinAnswer: z.ZodType<JoinAnswer> = z.strictObject({
  interface: z
    .strictObject({ hostName: interfaceName, prefix: interfacePrefix, name: interfaceName.optional() })
    .optional(),
  gateway: ipv4.optional(),
  gateway6: ipv6.optional(),
  routes: z.array(z.strictObject({ destination: cidr, gateway: address.optional() })).max(MOST_ROUTES),
  needsNoGateway: z.boolean(),
})

/** What a network remembers, as a store has it. Throws when it is none of that. */
export function readNetworkOptions(stored: unknown): RemoteOptions {
  return networkOptions.parse(stored)
}

/** As {@link readNetworkOptions}, of an endpoint. */
export function readEndpointOptions(stored: unknown): RemoteEndpointOptions {
  return endpointOptions.parse(stored)
}

/** As {@link readNetworkOptions}, of an endpoint's joining. */
export function readJoined(stored: unknown): JoinAnswer {
  return joinAnswer.parse(stored)
}

/** What an endpoint's plugin answered when it joined; none where it did not, or where somebody spoilt the record. */
export function joinAnswerOf(joined: unknown): JoinAnswer | undefined {
  return joinAnswer.safeParse(joined).data
}
