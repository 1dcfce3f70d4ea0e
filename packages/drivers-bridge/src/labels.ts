import type { CheckNetworkRequest } from '@net/driverapi'
import { isInterfaceName, labels, NotImplementedError } from '@net/types'
import { z } from 'zod'
import { InvalidOptionError } from './errors.ts'

/** What a bridge network remembers of its options. Plain JSON. */
export interface BridgeOptions {
  /** Name of the bridge interface. */
  readonly bridge: string
  readonly mtu?: number | undefined
  /** Packets leave with the host's address as their source. */
  readonly masquerade: boolean
  /** What interfaces in sandboxes are called, before their number. */
  readonly interfacePrefix: string
}

/** What an endpoint on a bridge remembers of its options. Plain JSON. */
export interface BridgeEndpointOptions {
  /** The very name of the interface in the sandbox. */
  readonly interfaceName?: string | undefined
}

export const bridgeLabels = {
  name: 'com.docker.network.bridge.name',
  masquerade: 'com.docker.network.bridge.enable_ip_masquerade',
} as const

/** Labels of the original that come later: refused, never ignored. */
const notYet: readonly string[] = [
  'com.docker.network.bridge.enable_icc',
  'com.docker.network.bridge.inhibit_ipv4',
  'com.docker.network.bridge.host_binding_ipv4',
  'com.docker.network.bridge.default_bridge',
  'com.docker.network.bridge.gateway_mode_ipv4',
  'com.docker.network.bridge.gateway_mode_ipv6',
  'com.docker.network.bridge.trusted_host_interfaces',
  'com.docker.network.host_ipv4',
  'com.docker.network.host_ipv6',
  'com.docker.network.endpoint.sysctls',
]

/** RFC 8200, 5: no link that carries IPv6 takes less, and the kernel has none on such a link. */
const MIN_IPV6_MTU = 1280
/** Room for a number after the prefix. */
const MAX_PREFIX_BYTES = 11

const interfaceName = z.string().refine(isInterfaceName)
const interfacePrefix = interfaceName.refine((prefix) => new TextEncoder().encode(prefix).length <= MAX_PREFIX_BYTES)

/** The spellings that Go's strconv.ParseBool takes, and JSON's. */
const boolean = z
  .union([z.boolean(), z.enum(['1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False'])])
  .transform((value) => value === true || (typeof value === 'string' && /^(1|t)/i.test(value)))

const mtu = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .refine((value) => Number.isInteger(value) && (value === 0 || (value >= 68 && value <= 65_535)))

const networkSchema = z.object({
  [bridgeLabels.name]: interfaceName.optional(),
  [bridgeLabels.masquerade]: boolean.optional(),
  [labels.mtu]: mtu.optional(),
  [labels.containerInterfacePrefix]: interfacePrefix.optional(),
})

const endpointSchema = z.object({
  [labels.interfaceName]: interfaceName.optional(),
})

const AN_INTERFACE_NAME = 'an interface name of 1 to 15 bytes without white space, "/", ":" or "%"'

const expectations: Readonly<Record<string, string>> = {
  [bridgeLabels.name]: AN_INTERFACE_NAME,
  [bridgeLabels.masquerade]: 'true or false',
  [labels.mtu]: '68 to 65535, or 0 to leave it as it is',
  [labels.containerInterfacePrefix]: `an interface name of 1 to ${MAX_PREFIX_BYTES} bytes, for a number to follow`,
  [labels.interfaceName]: AN_INTERFACE_NAME,
}

/** What the options of a network depend on. */
type NetworkOptionsRequest = Pick<CheckNetworkRequest, 'id' | 'ipv6' | 'options'>

/**
 * Reads the options of a network. Unknown labels are left to others.
 *
 * @throws InvalidOptionError (`ERR_INVALID_OPTION`), `ERR_NOT_IMPLEMENTED` for options that come later
 */
export function parseNetworkOptions({ id, ipv6, options }: NetworkOptionsRequest): BridgeOptions {
  const values = parse(networkSchema, options)
  const mtu = values[labels.mtu]
  if (ipv6 && mtu !== undefined && mtu !== 0 && mtu < MIN_IPV6_MTU) {
    throw new InvalidOptionError(labels.mtu, options[labels.mtu], `${MIN_IPV6_MTU} or more on a network with IPv6`)
  }
  return {
    bridge: values[bridgeLabels.name] ?? `br-${id.slice(0, 12)}`,
    mtu: mtu === 0 ? undefined : mtu,
    masquerade: values[bridgeLabels.masquerade] ?? true,
    interfacePrefix: values[labels.containerInterfacePrefix] ?? 'eth',
  }
}

/** Reads the options of an endpoint. @throws as {@link parseNetworkOptions} */
export function parseEndpointOptions(options: Readonly<Record<string, unknown>>): BridgeEndpointOptions {
  return { interfaceName: parse(endpointSchema, options)[labels.interfaceName] }
}

function parse<T>(schema: z.ZodType<T>, options: Readonly<Record<string, unknown>>): T {
  for (const label of notYet) if (Object.hasOwn(options, label)) throw new NotImplementedError(`option ${label}`)
  const result = schema.safeParse(options)
  if (result.success) return result.data
  const label = String(result.error.issues[0]?.path[0])
  throw new InvalidOptionError(label, options[label], expectations[label] ?? 'another value')
}
