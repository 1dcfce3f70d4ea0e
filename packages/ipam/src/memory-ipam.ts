import { InvalidAddressSpaceError, NoSuchPoolError, type IpamDriver } from '@net/ipamapi'
import type { Logger } from '@net/types'
import type { HeldPool } from './address-pool.ts'
import type { AddressSpace } from './address-space.ts'
import { settle } from './settle.ts'

/** The built-in address manager without a store: it forgets everything with its process. */
export function memoryIpam(local: AddressSpace, global: AddressSpace, logger: Logger): IpamDriver {
  const spaces = new Map([local, global].map((space) => [space.name, space]))
  const held = new Map<string, { readonly pool: HeldPool; readonly space: AddressSpace }>()

  const getPool = (poolId: string): HeldPool => {
    const found = held.get(poolId)
    if (found === undefined) throw new NoSuchPoolError(poolId)
    return found.pool
  }

  return {
    name: 'default',
    addressSpaces: { local: local.name, global: global.name },
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
