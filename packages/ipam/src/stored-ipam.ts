import { InvalidAddressSpaceError, NoSuchPoolError, type IpamDriver } from '@net/ipamapi'
import { isNetError, type CallOptions } from '@net/types'
import type { StoredHold } from './pool-directory.ts'
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

  /** Works in a pool; once more where it was let go and taken anew since we looked. */
  const inPool = async <T>(
    poolId: string,
    call: CallOptions | undefined,
    work: (hold: StoredHold) => Promise<T>,
  ): Promise<T> => {
    call?.signal?.throwIfAborted()
    const space = spaceOf(poolId)
    const known = space.getPool(poolId, call)
    const hold = known instanceof Promise ? await known : known
    try {
      return await work(hold)
    } catch (error) {
      if (!isNetError(error, 'ERR_NO_SUCH_POOL')) throw error
      const now = await space.getPool(poolId, call)
      if (now.pool === hold.pool) throw error
      return work(now)
    }
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

    requestAddress: (poolId, request = {}, call) =>
      inPool(poolId, call, ({ held, pool }) => pool.request(held, request, call)),

    releaseAddress: (poolId, address, call) =>
      inPool(poolId, call, ({ held, pool }) => pool.release(held, address, call)),

    poolStatus: (poolId, call) => inPool(poolId, call, ({ held, pool }) => pool.status(held, call)),
  }
}
