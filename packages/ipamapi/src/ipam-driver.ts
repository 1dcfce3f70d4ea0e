import type { Store, StoreOperation } from '@net/datastore'
import type { AddressFamily, CallOptions } from '@net/types'

/** Asks for a pool: a given one, a part of one, or any free one. */
export interface PoolRequest {
  readonly addressSpace: string
  /** CIDR of the pool; host bits are cleared. Absent: the manager chooses. */
  readonly pool?: string | undefined
  /** CIDR inside `pool` that addresses are handed out from. */
  readonly subPool?: string | undefined
  /** Family of a pool that the manager chooses. @defaultValue 4; that of `pool` when given */
  readonly family?: AddressFamily | undefined
  readonly options?: Readonly<Record<string, string>> | undefined
  /** CIDRs that a chosen pool must not overlap: the host's on-link routes and name servers. */
  readonly exclude?: readonly string[] | undefined
}

/** A pool that is held until it is released. */
export interface Pool {
  /** Opaque: only its manager reads it. */
  readonly id: string
  /** CIDR of the pool; of the whole pool where a sub-pool was asked for. */
  readonly pool: string
  /** What else the manager says, such as a gateway it chose (`com.docker.network.gateway`: a CIDR). */
  readonly data: Readonly<Record<string, string>>
}

/** Asks for an address of a pool. */
export interface AddressRequest {
  /** The very address wanted, without prefix length. Absent: any. */
  readonly address?: string | undefined
  /** Hands out in a circle instead of the lowest free one, so that a released address rests a while. */
  readonly serial?: boolean | undefined
  readonly macAddress?: string | undefined
  /** Who will hold it: the same owner asking again gets the address it holds. */
  readonly owner?: string | undefined
  readonly purpose?: 'gateway' | undefined
  readonly options?: Readonly<Record<string, string>> | undefined
}

/** An address that is held until it is released. */
export interface TakenAddress {
  /** With the prefix length of its pool: `10.0.0.2/24`. Empty from a manager that has none to give, as the null one. */
  readonly address: string
  readonly data: Readonly<Record<string, string>>
}

/** Addresses of a pool, by number. */
export interface PoolStatus {
  /** Taken ones, network and broadcast address included. */
  readonly taken: bigint
  /** Those that a request without a preferred address can still get. */
  readonly available: bigint
}

/** How a call is made. */
export interface IpamCallOptions extends CallOptions {
  /**
   * What the caller records with it, in the manager's own store (`capabilities.store`): both in one transaction, or
   * neither. Where one of these operations is refused, so is the call, with the store's error.
   */
  readonly with?: readonly StoreOperation[] | undefined
}

/** Hands out pools and the addresses in them. */
export interface IpamDriver {
  readonly name: string
  readonly addressSpaces: { readonly local: string; readonly global: string }
  readonly capabilities: {
    /** Address requests must carry the MAC address. */
    readonly requiresMacAddress: boolean
    /** Holds nothing over a restart: whoever recorded pools and addresses asks for them again. */
    readonly requiresRequestReplay: boolean
    /** It hands out pools alone: addresses are the business of whoever makes the links. @defaultValue false */
    readonly hasNoAddresses?: boolean | undefined
    /** Where it keeps what it handed out, for callers that keep theirs there too. */
    readonly store?: Store | undefined
  }
  /**
   * @throws `ERR_POOL_OVERLAP`, `ERR_NO_POOL_AVAILABLE`, `ERR_INVALID_POOL`, `ERR_INVALID_SUB_POOL`,
   *   `ERR_INVALID_ADDRESS_SPACE`
   */
  requestPool(request: PoolRequest, call?: IpamCallOptions): Promise<Pool>
  /**
   * Lets a pool go, with all addresses in it. Where a pool and its sub-pools share addresses, they go with the
   * last of them: who took one through another is not to lose it.
   *
   * @throws `ERR_NO_SUCH_POOL`
   */
  releasePool(poolId: string, call?: IpamCallOptions): Promise<void>
  /** @throws `ERR_NO_ADDRESS_AVAILABLE`, `ERR_ADDRESS_IN_USE`, `ERR_ADDRESS_OUT_OF_RANGE`, `ERR_NO_SUCH_POOL` */
  requestAddress(poolId: string, request?: AddressRequest, call?: IpamCallOptions): Promise<TakenAddress>
  /** Lets an address go; one that is not held is no error. @throws `ERR_ADDRESS_OUT_OF_RANGE`, `ERR_NO_SUCH_POOL` */
  releaseAddress(poolId: string, address: string, call?: IpamCallOptions): Promise<void>
  poolStatus?(poolId: string, call?: CallOptions): Promise<PoolStatus>
}
