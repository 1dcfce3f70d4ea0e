import type { Sysctl } from '@net/driverapi'
import { formatAddress, isInterfaceName, labels, parseAddress } from '@net/types'
import { z } from 'zod'
import { InvalidOptionError } from './errors.ts'
import { INTERFACE_PLACEHOLDER, type GatewayMode } from './options.ts'

/** A label or option: its name, what its value must be, and that in words. */
export interface Label<T> {
  readonly name: string
  readonly schema: z.ZodType<T>
  readonly expected: string
}

/** Room for a number after the prefix. */
const MAX_PREFIX_BYTES = 11

const AN_INTERFACE_NAME = 'an interface name of 1 to 15 bytes without white space, "/", ":" or "%"'

const interfaceName = z.string().refine(isInterfaceName)

/** The spellings that Go's strconv.ParseBool takes, and JSON's. */
const boolean = z
  .union([z.boolean(), z.enum(['1', 't', 'T', 'TRUE', 'true', 'True', '0', 'f', 'F', 'FALSE', 'false', 'False'])])
  .transform((value) => value === true || (typeof value === 'string' && /^(1|t)/i.test(value)))

const mtu = z
  .union([z.number(), z.string().regex(/^\d+$/).transform(Number)])
  .refine((value) => Number.isInteger(value) && (value === 0 || (value >= 68 && value <= 65_535)))

const gatewayMode = z
  .enum(['nat', 'nat-unprotected', 'routed', 'isolated', ''])
  .transform((mode): GatewayMode => (mode === '' ? 'nat' : mode))

const interfaceNames = z
  .string()
  .transform((names) => names.split(':').filter((name) => name !== ''))
  .refine((names) => names.every(isInterfaceName))

/** The labels of a network. */
export const networkLabels = {
  bridge: label('com.docker.network.bridge.name', interfaceName, AN_INTERFACE_NAME),
  isDefault: label('com.docker.network.bridge.default_bridge', boolean, 'true or false'),
  masquerade: label('com.docker.network.bridge.enable_ip_masquerade', boolean, 'true or false'),
  sourceIpv4: label('com.docker.network.host_ipv4', address([4]), 'an IPv4 address of the host'),
  sourceIpv6: label('com.docker.network.host_ipv6', address([6]), 'an IPv6 address of the host'),
  interContainer: label('com.docker.network.bridge.enable_icc', boolean, 'true or false'),
  gatewayModeIpv4: label('com.docker.network.bridge.gateway_mode_ipv4', gatewayMode, gatewayModes()),
  gatewayModeIpv6: label('com.docker.network.bridge.gateway_mode_ipv6', gatewayMode, gatewayModes()),
  inhibitIpv4: label('com.docker.network.bridge.inhibit_ipv4', boolean, 'true or false'),
  hostBinding: label('com.docker.network.bridge.host_binding_ipv4', address([4, 6]), 'an address of the host'),
  trustedInterfaces: label(
    'com.docker.network.bridge.trusted_host_interfaces',
    interfaceNames,
    'names of interfaces with ":" between them',
  ),
  mtu: label(labels.mtu, mtu, '68 to 65535, or 0 to leave it as it is'),
  interfacePrefix: label(
    labels.containerInterfacePrefix,
    interfaceName.refine((prefix) => new TextEncoder().encode(prefix).length <= MAX_PREFIX_BYTES),
    `an interface name of 1 to ${MAX_PREFIX_BYTES} bytes, for a number to follow`,
  ),
} as const

/** libnetwork's links, among whatever else is said there. */
const links = z.looseObject({
  ParentEndpoints: z.array(z.string()).optional(),
  ChildEndpoints: z.array(z.string()).optional(),
})

/** The labels of an endpoint. */
export const endpointLabels = {
  links: label(
    'com.docker.network.generic',
    links,
    '{ ParentEndpoints, ChildEndpoints }, ids of other endpoints on a default bridge that is not internal',
  ),
  interfaceName: label(labels.interfaceName, interfaceName, AN_INTERFACE_NAME),
  sysctls: label(
    'com.docker.network.endpoint.sysctls',
    z.union([z.string().transform((text) => text.split(',')), z.array(z.string())]).transform(parseSysctls),
    '"net.X.Y.IFNAME.Z=value", such as "net.ipv4.conf.IFNAME.forwarding=1", with commas between them',
  ),
} as const

/** The values of labels by the names that `wanted` gives them. */
export type ValuesOf<Labels extends Readonly<Record<string, Label<unknown>>>> = {
  readonly [Name in keyof Labels]: Labels[Name] extends Label<infer T> ? T | undefined : never
}

/**
 * Reads the labels that `wanted` names; those that are absent are undefined. Unknown ones are left to others.
 *
 * @throws InvalidOptionError (`ERR_INVALID_OPTION`)
 */
export function readLabels<Labels extends Readonly<Record<string, Label<unknown>>>>(
  wanted: Labels,
  options: Readonly<Record<string, unknown>>,
): ValuesOf<Labels> {
  const values = Object.entries(wanted).map(([key, { name, schema, expected }]) => {
    if (!Object.hasOwn(options, name)) return [key, undefined] as const
    const result = schema.safeParse(options[name])
    if (!result.success) throw new InvalidOptionError(name, options[name], expected)
    return [key, result.data] as const
  })
  // Each value came out of the schema that its type is taken from.
  return Object.fromEntries(values) as ValuesOf<Labels>
}

function label<T>(name: string, schema: z.ZodType<T>, expected: string): Label<T> {
  return { name, schema, expected }
}

function gatewayModes(): string {
  return 'nat, nat-unprotected, routed or isolated'
}

/** `net.ipv4.conf.IFNAME.forwarding=1`: five parts, the fourth of which stands for the interface. */
const SYSCTL = /^(net\.[a-z0-9_-]+\.[a-z0-9_-]+\.)IFNAME\.([a-z0-9_-]+)=([^\n]*)$/

function parseSysctls(texts: readonly string[], context: z.RefinementCtx): Sysctl[] {
  return texts.flatMap((text) => {
    const [, before, setting, value] = SYSCTL.exec(text.trim()) ?? []
    if (before !== undefined && setting !== undefined && value !== undefined) {
      return { path: `${before.replaceAll('.', '/')}${INTERFACE_PLACEHOLDER}/${setting}`, value: value.trim() }
    }
    context.addIssue({ code: 'custom', message: 'not such a setting' })
    return []
  })
}

/** An address of one of the families, in its one spelling. */
function address(families: readonly number[]): z.ZodType<string> {
  return z.string().transform((text, context) => {
    try {
      const parsed = parseAddress(text)
      if (families.includes(parsed.family)) return formatAddress(parsed)
    } catch {
      // Said below, with the label.
    }
    context.addIssue({ code: 'custom', message: 'not such an address' })
    return z.NEVER
  })
}
