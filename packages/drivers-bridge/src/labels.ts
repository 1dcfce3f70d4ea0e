import { labels, NotImplementedError } from '@net/types'
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

const MAX_INTERFACE_NAME_BYTES = 15
/** Room for a number after the prefix. */
const MAX_PREFIX_BYTES = 11

// net/core/dev.c: dev_valid_name
const interfaceName = (maxBytes: number): z.ZodType<string> =>
  z
    .string()
    .refine(
      (name) => new TextEncoder().encode(name).length <= maxBytes && /^[^\s/:\0]+$/.test(name) && !/^\.\.?$/.test(name),
      {
        error: `an interface name of 1 to ${maxBytes} bytes without white space, "/" or ":"`,
      },
    )

/** The spellings that Go's strconv.ParseBool takes, and JSON's. */
const boolean = z
  .union([z.boolean(), z.enum(['1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False'])])
  .transform((value) => value === true || (typeof value === 'string' && /^(1|t)/i.test(value)))

const mtu = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .refine((value) => Number.isInteger(value) && (value === 0 || (value >= 68 && value <= 65_535)))

const networkSchema = z.object({
  [bridgeLabels.name]: interfaceName(MAX_INTERFACE_NAME_BYTES).optional(),
  [bridgeLabels.masquerade]: boolean.optional(),
  [labels.mtu]: mtu.optional(),
  [labels.containerInterfacePrefix]: interfaceName(MAX_PREFIX_BYTES).optional(),
})

const endpointSchema = z.object({
  [labels.interfaceName]: interfaceName(MAX_INTERFACE_NAME_BYTES).optional(),
})

const expectations: Readonly<Record<string, string>> = {
  [bridgeLabels.name]: `an interface name of 1 to ${MAX_INTERFACE_NAME_BYTES} bytes without white space, "/" or ":"`,
  [bridgeLabels.masquerade]: 'true or false',
  [labels.mtu]: '68 to 65535, or 0 to leave it as it is',
  [labels.containerInterfacePrefix]: `an interface name of 1 to ${MAX_PREFIX_BYTES} bytes, for a number to follow`,
  [labels.interfaceName]: `an interface name of 1 to ${MAX_INTERFACE_NAME_BYTES} bytes without white space, "/" or ":"`,
}

/**
 * Reads the options of network `id`. Unknown labels are left to others.
 *
 * @throws InvalidOptionError (`ERR_INVALID_OPTION`), `ERR_NOT_IMPLEMENTED` for options that come later
 */
export function parseNetworkOptions(options: Readonly<Record<string, unknown>>, id: string): BridgeOptions {
  const values = parse(networkSchema, options)
  return {
    bridge: values[bridgeLabels.name] ?? `br-${id.slice(0, 12)}`,
    mtu: values[labels.mtu] === 0 ? undefined : values[labels.mtu],
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
