import { NetError } from '@net/types'

/** The pool asked for overlaps one that is held in the same address space, or that a network has. */
export class PoolOverlapError extends NetError<'ERR_POOL_OVERLAP'> {
  constructor(pool: string, held: string, holder: string) {
    super(`pool ${pool} overlaps with pool ${held} of ${holder}`, {
      code: 'ERR_POOL_OVERLAP',
      kind: 'forbidden',
    })
  }
}

/** No predefined pool is free; the message says what blocked each candidate. */
export class NoPoolAvailableError extends NetError<'ERR_NO_POOL_AVAILABLE'> {
  constructor(addressSpace: string, why: string) {
    super(`no pool available in address space ${addressSpace}: ${why}`, {
      code: 'ERR_NO_POOL_AVAILABLE',
      kind: 'no-service',
    })
  }
}

/** No pool with this id is held. */
export class NoSuchPoolError extends NetError<'ERR_NO_SUCH_POOL'> {
  constructor(poolId: string) {
    super(`no such address pool: ${JSON.stringify(poolId)}`, { code: 'ERR_NO_SUCH_POOL', kind: 'not-found' })
  }
}

/** The pool asked for is no CIDR, or not of the family asked for. */
export class InvalidPoolError extends NetError<'ERR_INVALID_POOL'> {
  constructor(pool: string, expected: string, cause?: unknown) {
    super(`invalid address pool ${JSON.stringify(pool)}: expected ${expected}`, {
      code: 'ERR_INVALID_POOL',
      kind: 'bad-request',
      cause,
    })
  }
}

/** The sub-pool asked for is no CIDR, lies outside its pool, or comes without one. */
export class InvalidSubPoolError extends NetError<'ERR_INVALID_SUB_POOL'> {
  constructor(subPool: string, expected: string, cause?: unknown) {
    super(`invalid address sub-pool ${JSON.stringify(subPool)}: expected ${expected}`, {
      code: 'ERR_INVALID_SUB_POOL',
      kind: 'bad-request',
      cause,
    })
  }
}

/** The address manager has no such address space. */
export class InvalidAddressSpaceError extends NetError<'ERR_INVALID_ADDRESS_SPACE'> {
  constructor(addressSpace: string, known: readonly string[]) {
    super(`invalid address space ${JSON.stringify(addressSpace)}: expected one of ${known.join(', ')}`, {
      code: 'ERR_INVALID_ADDRESS_SPACE',
      kind: 'bad-request',
    })
  }
}

/** Every address of the pool is taken. */
export class NoAddressAvailableError extends NetError<'ERR_NO_ADDRESS_AVAILABLE'> {
  constructor(poolId: string) {
    super(`no available addresses on pool ${poolId}`, { code: 'ERR_NO_ADDRESS_AVAILABLE', kind: 'no-service' })
  }
}

/** The very address asked for is taken. */
export class AddressInUseError extends NetError<'ERR_ADDRESS_IN_USE'> {
  constructor(address: string, poolId: string) {
    super(`address ${address} is already in use in pool ${poolId}`, { code: 'ERR_ADDRESS_IN_USE', kind: 'forbidden' })
  }
}

/** The address asked for lies outside the pool. */
export class AddressOutOfRangeError extends NetError<'ERR_ADDRESS_OUT_OF_RANGE'> {
  constructor(address: string, pool: string) {
    super(`address ${address} is outside pool ${pool}`, { code: 'ERR_ADDRESS_OUT_OF_RANGE', kind: 'bad-request' })
  }
}
