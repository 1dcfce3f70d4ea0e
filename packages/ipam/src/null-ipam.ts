import {
  InvalidAddressSpaceError,
  InvalidPoolError,
  InvalidSubPoolError,
  NoSuchPoolError,
  type IpamDriver,
} from '@net/ipamapi'
import { settle } from './settle.ts'

const SPACE = 'null'
const POOLS = { 4: '0.0.0.0/0', 6: '::/0' } as const
const IDS: ReadonlySet<string> = new Set([`${SPACE}/${POOLS[4]}`, `${SPACE}/${POOLS[6]}`])

/** Hands out pools without addresses, for networks whose driver sees to them: by DHCP, or by having none. */
export function nullIpam(): IpamDriver {
  const check = (poolId: string): void => {
    if (!IDS.has(poolId)) throw new NoSuchPoolError(poolId)
  }
  return {
    name: 'null',
    addressSpaces: { local: SPACE, global: SPACE },
    capabilities: { requiresMacAddress: false, requiresRequestReplay: false, hasNoAddresses: true },

    requestPool: ({ addressSpace, pool, subPool, family = 4 }, call) =>
      settle(call, () => {
        if (addressSpace !== SPACE) throw new InvalidAddressSpaceError(addressSpace, [SPACE])
        if (pool !== undefined) throw new InvalidPoolError(pool, 'none: the null address manager has no pools')
        if (subPool !== undefined) throw new InvalidSubPoolError(subPool, 'none: the null address manager has no pools')
        return { id: `${SPACE}/${POOLS[family]}`, pool: POOLS[family], data: {} }
      }),

    releasePool: (poolId, call) =>
      settle(call, () => {
        check(poolId)
      }),

    requestAddress: (poolId, _request, call) =>
      settle(call, () => {
        check(poolId)
        return { address: '', data: {} }
      }),

    releaseAddress: (poolId, _address, call) =>
      settle(call, () => {
        check(poolId)
      }),
  }
}
