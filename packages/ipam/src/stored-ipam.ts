import { InvalidAddressSpaceError, NoSuchPoolError, type IpamDriver } from '@net/ipamapi'
import { StoredSpace, type StoredSpaceDeps } from './stored-space.ts'

/** The built-in address manager over a store, with the address spaces that it serves. */
export function storedIpam(
  addressSpaces: { readonly local: string; readonly global: string },
  depsOf: (space: 'local' | 'global') => StoredSpaceDeps,
): IpamDriver {
  const spaces = new Map(
    (['local', 'global'] as const).map((space) => [
      addressSpaces[space],
      new StoredSpace(addressSpaces[space], depsOf(space)),
    ]),
  )
  /** Whose pool it is: ids begin with the name of their address space. */
  const spaceOf = (poolId: string): StoredSpace => {
    const space = spaces.get(poolId.slice(0, poolId.indexOf('/')))
    if (space === undefined) throw new NoSuchPoolError(poolId)
    return space
  }

  return {
    name: 'default',
    addressSpaces,
    capabilities: { requiresMacAddress: false, requiresRequestReplay: false, store: depsOf('local').store },

    requestPool: async (request, call) => {
      call?.signal?.throwIfAborted()
      const space = spaces.get(request.addressSpace)
      if (space === undefined) throw new InvalidAddressSpaceError(request.addressSpace, [...spaces.keys()])
      return space.requestPool(request, call)
    },

    releasePool: async (poolId, call) => {
      call?.signal?.throwIfAborted()
      await spaceOf(poolId).releasePool(poolId, call)
    },

    requestAddress: async (poolId, request = {}, call) => {
      call?.signal?.throwIfAborted()
      const { held, pool } = await spaceOf(poolId).getPool(poolId)
      return pool.request(held, request, call)
    },

    releaseAddress: async (poolId, address, call) => {
      call?.signal?.throwIfAborted()
      const { pool } = await spaceOf(poolId).getPool(poolId)
      await pool.release(address, call)
    },

    poolStatus: async (poolId, call) => {
      call?.signal?.throwIfAborted()
      const { held, pool } = await spaceOf(poolId).getPool(poolId)
      return pool.status(held)
    },
  }
}
