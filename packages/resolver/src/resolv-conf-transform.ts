import { addOption, findOption, isOption, type ResolvConf } from './resolv-conf.ts'

/** Public servers, for networks without a resolver of their own whose host has none that can be reached. */
const defaultServers = {
  ipv4: ['8.8.8.8', '8.8.4.4'],
  ipv6: ['2001:4860:4860::8888', '2001:4860:4860::8844'],
} as const

/**
 * For a network whose containers ask the servers themselves: without those that only the host can reach.
 * Servers that a user named stay as they are.
 */
export function transformForLegacyNetwork(conf: ResolvConf, { ipv6 }: { readonly ipv6: boolean }): ResolvConf {
  const transformed: ResolvConf = { ...conf, transform: 'legacy' }
  if (conf.overrides.includes('nameservers')) return transformed
  const nameServers = conf.nameServers.filter((address) => !isLoopback(address) && (ipv6 || !isIpv6(address)))
  if (nameServers.length > 0) return { ...transformed, nameServers }
  return {
    ...transformed,
    nameServers: [...defaultServers.ipv4, ...(ipv6 ? defaultServers.ipv6 : [])],
    warnings: [...conf.warnings, 'Used default nameservers.'],
  }
}

/**
 * For a network with a resolver: that is the only server left, and `externalServers` is whom it is to
 * ask. Options it requires are added where the file has none of the name.
 */
export function transformForInternalResolver(
  conf: ResolvConf,
  { nameServer, requiredOptions }: { readonly nameServer: string; readonly requiredOptions: readonly string[] },
): ResolvConf {
  const from = conf.overrides.includes('nameservers') ? 'sandbox' : 'host'
  const externalServers = conf.nameServers.map((address) => ({ address, from }) as const)
  const warnings = externalServers.length > 0 ? [] : ['NO EXTERNAL NAMESERVERS DEFINED']
  const transformed: ResolvConf = {
    ...conf,
    nameServers: [nameServer],
    externalServers,
    transform: 'internal resolver',
    warnings: [...conf.warnings, ...warnings],
  }
  return requiredOptions.reduce(withRequiredOption, transformed)
}

function withRequiredOption(conf: ResolvConf, required: string): ResolvConf {
  const [name = required] = required.split(':')
  const sound = name === 'ndots' ? withoutMalformedNdots(conf) : conf
  return findOption(sound, name) === undefined ? addOption(sound, required) : sound
}

function withoutMalformedNdots(conf: ResolvConf): ResolvConf {
  return {
    ...conf,
    options: conf.options.filter((option) => !isOption(option, 'ndots') || /^ndots:\+?\d+$/.test(option)),
  }
}

function isIpv6(address: string): boolean {
  return address.includes(':')
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address.split('%')[0] === '::1'
}
