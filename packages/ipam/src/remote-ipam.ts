import {
  InvalidPoolError,
  NoPoolAvailableError,
  type AddressRequest,
  type IpamCallOptions,
  type IpamDriver,
  type Pool,
  type PoolRequest,
  type TakenAddress,
} from '@net/ipamapi'
import {
  flagOf,
  PluginClient,
  PluginReplyError,
  refusalOf,
  textOf,
  textsOf,
  type Fields,
  type PluginOptions,
} from '@net/plugins'
import {
  cidrsOverlap,
  formatAddress,
  labels,
  parseAddress,
  parseCidr,
  silentLogger,
  type CallOptions,
  type Cidr,
  type Logger,
} from '@net/types'
import { NoAddressReturnedError } from './errors.ts'
import { parsePool } from './pool-base.ts'
import { remoteError } from './remote-error.ts'

/** What a remote address manager is given to work with. */
export interface RemoteIpamDeps {
  readonly logger?: Logger | undefined
}

/** Option of address requests that bears the owner: the protocol has no field for it. */
export const OWNER_OPTION = 'net.ipam.owner'

/** Pools in somebody's way that are held while another one is asked for. */
const MOST_IN_THE_WAY = 256

/**
 * Opens an address manager that is a plugin: another program, which speaks Docker's plugin protocol on a socket.
 *
 * @throws `ERR_PLUGIN_NOT_FOUND`, `ERR_PLUGIN_UNAVAILABLE`, `ERR_PLUGIN_REPLY`, `ERR_PLUGIN_REFUSED`, `ERR_INVALID_PLUGIN`
 */
export async function remoteIpam(
  options: PluginOptions,
  { logger = silentLogger }: RemoteIpamDeps = {},
  call?: CallOptions,
): Promise<IpamDriver> {
  const client = new PluginClient(options, { kind: 'IpamDriver', errorField: 'Error', errorOf: remoteError })
  await client.activate(call)
  const addressSpaces = await readAddressSpaces(client, call)
  const capabilities = await readCapabilities(client, call).catch((error: unknown) => {
    call?.signal?.throwIfAborted()
    // Older plugins have no such call.
    logger.debug({ plugin: client.name, err: error }, 'plugin says nothing of its capabilities')
    return { requiresMacAddress: false, requiresRequestReplay: false }
  })
  return remoteDriver(client.name, { client, addressSpaces, capabilities, logger })
}

async function readAddressSpaces(
  client: PluginClient,
  call: CallOptions | undefined,
): Promise<IpamDriver['addressSpaces']> {
  const method = 'GetDefaultAddressSpaces'
  const answer = await client.call(method, undefined, call)
  const refuse = refusalOf(method)
  return {
    local: textOf(answer, 'LocalDefaultAddressSpace', refuse),
    global: textOf(answer, 'GlobalDefaultAddressSpace', refuse),
  }
}

async function readCapabilities(
  client: PluginClient,
  call: CallOptions | undefined,
): Promise<IpamDriver['capabilities']> {
  const method = 'GetCapabilities'
  const answer = await client.call(method, undefined, call)
  const refuse = refusalOf(method)
  return {
    requiresMacAddress: flagOf(answer, 'RequiresMACAddress', refuse),
    requiresRequestReplay: flagOf(answer, 'RequiresRequestReplay', refuse),
  }
}

/** What a remote driver is made of. */
interface Remote {
  readonly client: PluginClient
  readonly addressSpaces: IpamDriver['addressSpaces']
  readonly capabilities: IpamDriver['capabilities']
  readonly logger: Logger
}

function remoteDriver(name: string, remote: Remote): IpamDriver {
  const { client, addressSpaces, capabilities } = remote
  return {
    name,
    addressSpaces,
    capabilities,

    requestPool: async (request, call) => {
      checkPool(request)
      if (request.pool !== undefined || request.addressSpace === addressSpaces.global) {
        return askForPool(client, request, call)
      }
      return askForClearPool(remote, request, call)
    },

    releasePool: async (poolId, call) => {
      await client.call('ReleasePool', { PoolID: poolId }, call)
    },

    requestAddress: async (poolId, request = {}, call) => askForAddress(client, poolId, request, call),

    releaseAddress: async (poolId, address, call) => {
      call?.signal?.throwIfAborted()
      parseAddress(address)
      await client.call('ReleaseAddress', { PoolID: poolId, Address: address }, call)
    },
  }
}

/** What the protocol has no words for: an empty text means any there, and it has one family or the other. */
function checkPool({ pool, family }: PoolRequest): void {
  if (pool === undefined) return
  if (family !== undefined && parsePool(pool).address.family !== family) {
    throw new InvalidPoolError(pool, `a pool of IPv${family}`)
  }
  if (pool === '') parsePool(pool)
}

/** Asks for pools until one is clear of what is excluded. Those in the way are held meanwhile, and let go at the end. */
async function askForClearPool(
  { client, addressSpaces, logger }: Remote,
  request: PoolRequest,
  call: IpamCallOptions | undefined,
): Promise<Pool> {
  const excluded = (request.exclude ?? []).map((text) => parseCidr(text))
  const inTheWay = new Set<string>()
  try {
    while (inTheWay.size < MOST_IN_THE_WAY) {
      const pool = await askForPool(client, request, call)
      if (isClear(parseCidr(pool.pool), excluded)) return pool
      if (inTheWay.has(pool.id)) throw new PluginReplyError('RequestPool', `${pool.id} was given twice`)
      inTheWay.add(pool.id)
    }
    throw new NoPoolAvailableError(addressSpaces.local, `${MOST_IN_THE_WAY} pools are in the way of what is excluded`)
  } finally {
    for (const poolId of inTheWay) {
      await client.call('ReleasePool', { PoolID: poolId }).catch((error: unknown) => {
        logger.warn({ poolId, err: error }, 'pool could not be released')
      })
    }
  }
}

/** A pool of everything stands for none, as the null address manager gives it. */
function isClear(pool: Cidr, excluded: readonly Cidr[]): boolean {
  return pool.prefixLength === 0 || !excluded.some((other) => cidrsOverlap(pool, other))
}

async function askForPool(
  client: PluginClient,
  { addressSpace, pool = '', subPool = '', family, options }: PoolRequest,
  call: IpamCallOptions | undefined,
): Promise<Pool> {
  const method = 'RequestPool'
  const isV6 = pool === '' ? family === 6 : pool.includes(':')
  const body = { AddressSpace: addressSpace, Pool: pool, SubPool: subPool, Options: mapOf(options), V6: isV6 }
  const answer = await client.call(method, body, call)
  const refuse = refusalOf(method)
  const id = textOf(answer, 'PoolID', refuse)
  const cidr = readCidr(answer, 'Pool', refuse)
  if (id === '') refuse('PoolID is empty')
  if (cidr === undefined) return refuse('Pool is empty')
  return { id, pool: cidr, data: textsOf(answer, 'Data', refuse) }
}

async function askForAddress(
  client: PluginClient,
  poolId: string,
  request: AddressRequest,
  call: IpamCallOptions | undefined,
): Promise<TakenAddress> {
  call?.signal?.throwIfAborted()
  const method = 'RequestAddress'
  const wanted = request.address === undefined ? '' : formatAddress(parseAddress(request.address))
  const body = { PoolID: poolId, Address: wanted, Options: mapOf(optionsOf(request)) }
  const answer = await client.call(method, body, call)
  const refuse = refusalOf(method)
  const address = readCidr(answer, 'Address', refuse)
  if (address === undefined) throw new NoAddressReturnedError(poolId)
  if (wanted !== '' && !address.startsWith(`${wanted}/`)) {
    // What nobody asked for is nobody's. What is the matter is told below.
    const unwanted = { PoolID: poolId, Address: address.slice(0, address.indexOf('/')) }
    await client.call('ReleaseAddress', unwanted).catch(() => undefined)
    refuse(`${address} for ${wanted}`)
  }
  return { address, data: textsOf(answer, 'Data', refuse) }
}

/** The options of an address request, with what the protocol says by options. */
function optionsOf({ serial, macAddress, owner, purpose, options }: AddressRequest): Record<string, string> {
  return {
    ...options,
    ...(serial === true ? { [labels.ipamSerial]: 'true' } : {}),
    ...(macAddress === undefined ? {} : { [labels.macAddress]: macAddress }),
    ...(purpose === undefined ? {} : { [labels.requestAddressType]: labels.gateway }),
    ...(owner === undefined ? {} : { [OWNER_OPTION]: owner }),
  }
}

/** As Go writes a map: null where there is none. */
function mapOf(options: Readonly<Record<string, string>> | undefined): object | null {
  return options === undefined || Object.keys(options).length === 0 ? null : options
}

/** A CIDR in an answer, in its canonical spelling with its host bits; `undefined` where it is empty. */
function readCidr(answer: Fields, name: string, refuse: (why: string) => never): string | undefined {
  const text = textOf(answer, name, refuse)
  if (text === '') return undefined
  try {
    const { address, prefixLength } = parseCidr(text)
    return `${formatAddress(address)}/${prefixLength}`
  } catch {
    return refuse(`${name} is no CIDR: ${JSON.stringify(text.slice(0, 80))}`)
  }
}
