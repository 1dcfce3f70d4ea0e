import { InvalidAddressSpaceError, NoSuchPoolError, type IpamDriver } from '@net/ipamapi'
import { NotImplementedError, silentLogger, type Logger } from '@net/types'
import { type HeldPool } from './address-pool.ts'
import { AddressSpace } from './address-space.ts'
import { defaultBases, parseBases, replaceBases, type PoolBaseOptions } from './pool-base.ts'
import { settle } from './settle.ts'

/** What can be chosen about the built-in address manager. */
export interface DefaultIpamOptions {
  /**
   * What pools of the local address space are cut out of when the request names none.
   * They replace the default list of their family.
   *
   * @defaultValue 172.17.0.0/16 to 172.31.0.0/16 as they are, 192.168.0.0/16 by 20, a random unique local /48 by 64
   */
  readonly pools?: readonly PoolBaseOptions[] | undefined
}

/** What the built-in address manager is given to work with. */
export interface DefaultIpamDeps {
  /** Not there yet: pools and addresses are held in memory. */
  readonly store?: object | undefined
  readonly logger?: Logger | undefined
  /** Random bytes, for the IPv6 prefix. @defaultValue those of the platform */
  readonly random?: ((length: number) => Uint8Array) | undefined
}

const LOCAL = 'LocalDefault'
const GLOBAL = 'GlobalDefault'

/**
 * The built-in address manager. It holds everything in memory, so whoever recorded pools and addresses
 * asks for them again after a restart.
 *
 * @throws InvalidPoolError (`ERR_INVALID_POOL`) for `pools` that are none
 * @throws NotImplementedError (`ERR_NOT_IMPLEMENTED`) when given a store
 */
export function defaultIpam(options: DefaultIpamOptions = {}, deps: DefaultIpamDeps = {}): IpamDriver {
  if (deps.store !== undefined) throw new NotImplementedError('defaultIpam with a store')
  const { logger = silentLogger, random } = deps
  const localBases = replaceBases(parseBases(options.pools ?? []), defaultBases('local', random))
  const spaces = new Map([
    [LOCAL, new AddressSpace(LOCAL, localBases)],
    [GLOBAL, new AddressSpace(GLOBAL, defaultBases('global', random))],
  ])
  const held = new Map<string, { readonly pool: HeldPool; readonly space: AddressSpace }>()

  const getPool = (poolId: string): HeldPool => {
    const found = held.get(poolId)
    if (found === undefined) throw new NoSuchPoolError(poolId)
    return found.pool
  }

  return {
    name: 'default',
    addressSpaces: { local: LOCAL, global: GLOBAL },
    capabilities: { requiresMacAddress: false, requiresRequestReplay: true },

    requestPool: (request, call) =>
      settle(call, () => {
        const space = spaces.get(request.addressSpace)
        if (space === undefined) throw new InvalidAddressSpaceError(request.addressSpace, [...spaces.keys()])
        const pool = space.request(request)
        held.set(pool.id, { pool, space })
        logger.debug({ poolId: pool.id }, 'pool taken')
        return { id: pool.id, pool: pool.master.text, data: {} }
      }),

    releasePool: (poolId, call) =>
      settle(call, () => {
        const found = held.get(poolId)
        if (found === undefined) throw new NoSuchPoolError(poolId)
        found.space.release(found.pool)
        held.delete(poolId)
        logger.debug({ poolId }, 'pool released')
      }),

    requestAddress: (poolId, request = {}, call) =>
      settle(call, () => {
        const pool = getPool(poolId)
        return pool.master.request(pool, request)
      }),

    releaseAddress: (poolId, address, call) =>
      settle(call, () => {
        getPool(poolId).master.release(address)
      }),

    poolStatus: (poolId, call) =>
      settle(call, () => {
        const pool = getPool(poolId)
        return pool.master.status(pool)
      }),
  }
}
