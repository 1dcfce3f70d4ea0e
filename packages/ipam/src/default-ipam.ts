import type { IpamDriver } from '@net/ipamapi'
import type { Store } from '@net/datastore'
import { silentLogger, type Cidr, type Logger } from '@net/types'
import { AddressSpace } from './address-space.ts'
import { memoryIpam } from './memory-ipam.ts'
import { defaultBases, parseBases, randomUniqueLocal, replaceBases, type PoolBaseOptions } from './pool-base.ts'
import { storedIpam } from './stored-ipam.ts'

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

/** The built-in address manager. */
export interface DefaultIpam extends IpamDriver {
  /**
   * Has pools be cut out of others from now on, as if it had been made with them. Those that are held stay. Absent over
   * a store, which others share.
   *
   * @throws InvalidPoolError (`ERR_INVALID_POOL`)
   */
  changePools?(pools: readonly PoolBaseOptions[]): void
}

/** What the built-in address manager is given to work with. */
export interface DefaultIpamDeps {
  /** Where pools and addresses are kept. @defaultValue nowhere but in memory */
  readonly store?: Store | undefined
  readonly logger?: Logger | undefined
  /** Random bytes, for the IPv6 prefix. @defaultValue those of the platform */
  readonly random?: ((length: number) => Uint8Array) | undefined
}

const ADDRESS_SPACES = { local: 'LocalDefault', global: 'GlobalDefault' } as const

/**
 * The built-in address manager. Without a store it holds everything in memory, so whoever recorded pools and
 * addresses asks for them again after a restart. Any number of processes, on any number of hosts, can have one each
 * over the same store: they never hand out one address twice.
 *
 * @throws InvalidPoolError (`ERR_INVALID_POOL`) for `pools` that are none
 */
export function defaultIpam(options: DefaultIpamOptions = {}, deps: DefaultIpamDeps = {}): DefaultIpam {
  const { store, logger = silentLogger, random } = deps
  const configured = parseBases(options.pools ?? [])
  const makeUniqueLocal = (): Cidr => randomUniqueLocal(random)
  const basesOf = {
    local: (uniqueLocal: Cidr) => replaceBases(configured, defaultBases('local', uniqueLocal)),
    global: (uniqueLocal: Cidr) => defaultBases('global', uniqueLocal),
  }
  if (store !== undefined) {
    return storedIpam(ADDRESS_SPACES, (space) => ({ store, logger, basesOf: basesOf[space], makeUniqueLocal }))
  }
  const uniqueLocal = makeUniqueLocal()
  const local = new AddressSpace(ADDRESS_SPACES.local, basesOf.local(uniqueLocal))
  const global = new AddressSpace(ADDRESS_SPACES.global, basesOf.global(makeUniqueLocal()))
  return {
    ...memoryIpam(local, global, logger),
    changePools: (pools) => {
      local.changeBases(replaceBases(parseBases(pools), defaultBases('local', uniqueLocal)))
    },
  }
}
