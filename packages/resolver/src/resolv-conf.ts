import { formatAddress, InvalidAddressError, parseAddress } from '@net/types'
import { ResolvConfTooLongError } from './errors.ts'

/** A server that a resolver in front of the file is to ask in its stead. */
export interface ExternalServer {
  readonly address: string
  /** The host's network for servers that the host's file names, the sandbox's for those a user named. */
  readonly from: 'host' | 'sandbox'
}

/** What a resolv.conf says, and how it came to say so. */
export interface ResolvConf {
  readonly nameServers: readonly string[]
  readonly search: readonly string[]
  readonly options: readonly string[]
  /** Lines not known here, as they are. */
  readonly other: readonly string[]
  /** The file it was read from; empty for none. */
  readonly path: string
  readonly header: string | undefined
  /** What a user said in place of the file. */
  readonly overrides: readonly ('nameservers' | 'search' | 'options')[]
  readonly invalidNameServers: readonly string[]
  readonly ndotsFrom: 'host' | 'override' | 'internal' | undefined
  readonly transform: 'legacy' | 'internal resolver' | undefined
  readonly warnings: readonly string[]
  readonly externalServers: readonly ExternalServer[]
}

/** Characters of a line at most. */
const MAX_LINE_LENGTH = 65_536

/** A resolv.conf that says nothing: what a host without the file has. */
export const emptyResolvConf: ResolvConf = {
  nameServers: [],
  search: [],
  options: [],
  other: [],
  path: '',
  header: undefined,
  overrides: [],
  invalidNameServers: [],
  ndotsFrom: undefined,
  transform: undefined,
  warnings: [],
  externalServers: [],
}

/**
 * Reads a resolv.conf. Lines that make no sense are passed over; servers that are no addresses are remembered as such.
 *
 * @param path - where the text was read from: it is named in the comments of files made from it
 * @throws ResolvConfTooLongError (`ERR_RESOLV_CONF_TOO_LONG`)
 */
export function parseResolvConf(text: string, path = ''): ResolvConf {
  const nameServers: string[] = []
  const invalidNameServers: string[] = []
  const options: string[] = []
  const other: string[] = []
  let search: string[] = []
  for (const line of text.split('\n')) {
    if (line.length > MAX_LINE_LENGTH) throw new ResolvConfTooLongError(path, MAX_LINE_LENGTH)
    if (line.startsWith('#') || line.startsWith(';')) continue
    const [directive, ...values] = line.split(/\s+/).filter((word) => word !== '')
    if (directive === undefined) continue
    if (directive === 'nameserver') {
      const server = values[0]
      if (server === undefined) continue
      const address = readServer(server)
      if (address === undefined) invalidNameServers.push(server)
      else nameServers.push(address)
    } else if (directive === 'search' || directive === 'domain') {
      if (values.length > 0) search = values
    } else if (directive === 'options') {
      options.push(...values)
    } else {
      other.push(line)
    }
  }
  const ndotsFrom = hasOption(options, 'ndots') ? 'host' : undefined
  return { ...emptyResolvConf, path, nameServers, invalidNameServers, search, options, other, ndotsFrom }
}

/** Puts what a user wants in place of what the file says. An empty list is a wish too; undefined is none. */
export function overrideResolvConf(
  conf: ResolvConf,
  wishes: {
    readonly nameServers?: readonly string[] | undefined
    readonly search?: readonly string[] | undefined
    readonly options?: readonly string[] | undefined
  },
): ResolvConf {
  const { nameServers, search, options } = wishes
  const given = [
    nameServers === undefined ? [] : (['nameservers'] as const),
    search === undefined ? [] : (['search'] as const),
    options === undefined ? [] : (['options'] as const),
  ].flat()
  const ndotsOfOptions = hasOption(options ?? [], 'ndots') ? 'override' : undefined
  return {
    ...conf,
    nameServers: nameServers ?? conf.nameServers,
    // A single dot stands for no domain at all.
    search: search?.filter((domain) => domain !== '.') ?? conf.search,
    options: options ?? conf.options,
    ndotsFrom: options === undefined ? conf.ndotsFrom : ndotsOfOptions,
    overrides: (['nameservers', 'search', 'options'] as const).filter(
      (part) => given.includes(part) || conf.overrides.includes(part),
    ),
  }
}

/** The value of the last option of a name; empty where it has none. Undefined when there is no such option. */
export function findOption(conf: ResolvConf, name: string): string | undefined {
  const option = conf.options.findLast((text) => isOption(text, name))
  return option?.slice(name.length + 1)
}

/** Adds an option. */
export function addOption(conf: ResolvConf, option: string): ResolvConf {
  const ndotsFrom = isOption(option, 'ndots') ? 'internal' : conf.ndotsFrom
  return { ...conf, options: [...conf.options, option], ndotsFrom }
}

/** Whether an option is of this name, with a value or without. */
export function isOption(option: string, name: string): boolean {
  return option === name || option.startsWith(`${name}:`)
}

function hasOption(options: readonly string[], name: string): boolean {
  return options.some((option) => isOption(option, name))
}

/** The address, in its shortest spelling; its zone is kept. Undefined when it is none. */
function readServer(text: string): string | undefined {
  const [address = '', ...zone] = text.split('%')
  try {
    return [formatAddress(parseAddress(address)), ...zone].join('%')
  } catch (error) {
    if (error instanceof InvalidAddressError) return undefined
    throw error
  }
}

/** The text of the file; with comments on how it came about where they are wanted. */
export function formatResolvConf(conf: ResolvConf, { comments = false }: { readonly comments?: boolean } = {}): string {
  const lines = [
    ...(comments && conf.header !== undefined ? [conf.header, ''] : []),
    ...conf.nameServers.map((address) => `nameserver ${address}`),
    ...(conf.search.length > 0 ? [`search ${conf.search.join(' ')}`] : []),
    ...(conf.options.length > 0 ? [`options ${conf.options.join(' ')}`] : []),
    ...conf.other,
    ...(comments ? ['', ...commentsOf(conf)] : []),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

function commentsOf(conf: ResolvConf): string[] {
  const { path, transform, warnings, externalServers, invalidNameServers, overrides, ndotsFrom } = conf
  const external = externalServers.map(({ address, from }) => (from === 'host' ? `host(${address})` : address))
  return [
    `# Based on host file: '${path}'${transform === undefined ? '' : ` (${transform})`}`,
    ...warnings.map((warning) => `# ${warning}`),
    ...(external.length > 0 ? [`# ExtServers: [${external.join(' ')}]`] : []),
    ...(invalidNameServers.length > 0 ? [`# Invalid nameservers: [${invalidNameServers.join(' ')}]`] : []),
    `# Overrides: [${overrides.join(' ')}]`,
    ...(ndotsFrom === undefined ? [] : [`# Option ndots from: ${ndotsFrom}`]),
  ]
}
