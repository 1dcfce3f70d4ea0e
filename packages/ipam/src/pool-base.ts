import { InvalidPoolError } from '@net/ipamapi'
import { addressBits, networkOf, parseCidr, randomBytes, rangeOf, type AddressFamily, type Cidr } from '@net/types'

/** Subnets that a manager may choose from: those with prefix length `size` in `base`. */
export interface PoolBaseOptions {
  /** A CIDR, such as `10.10.0.0/16`. */
  readonly base: string
  /** Prefix length of the pools cut out of it. */
  readonly size: number
}

/** A {@link PoolBaseOptions}, checked. */
export interface PoolBase {
  readonly base: Cidr
  readonly size: number
}

const LOCAL: readonly PoolBaseOptions[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
]

const GLOBAL: readonly PoolBaseOptions[] = [{ base: '10.0.0.0/8', size: 24 }]

/** The bases of an address space: libnetwork's lists, and a unique local prefix for IPv6, cut into links of /64. */
export function defaultBases(space: 'local' | 'global', uniqueLocal: Cidr): readonly PoolBase[] {
  return [...parseBases(space === 'local' ? LOCAL : GLOBAL), { base: uniqueLocal, size: 64 }]
}

/** `configured` instead of the defaults of the families that it has bases of. */
export function replaceBases(configured: readonly PoolBase[], defaults: readonly PoolBase[]): readonly PoolBase[] {
  const families = new Set<AddressFamily>(configured.map(({ base }) => base.address.family))
  return [...configured, ...defaults.filter(({ base }) => !families.has(base.address.family))]
}

/** Reads bases as users write them. @throws InvalidPoolError (`ERR_INVALID_POOL`) */
export function parseBases(bases: readonly PoolBaseOptions[]): readonly PoolBase[] {
  return bases.map(({ base: text, size }) => {
    const base = networkOf(parsePool(text))
    const bits = addressBits(base.address.family)
    if (!Number.isInteger(size) || size < base.prefixLength || size > bits) {
      throw new InvalidPoolError(`${text} by ${size}`, `a size of ${base.prefixLength} to ${bits}`)
    }
    return { base, size }
  })
}

/** Bases in ascending order, without those that overlap one before them. */
export function disjointBases(bases: readonly PoolBase[], family: AddressFamily): readonly PoolBase[] {
  const sorted = bases
    .filter(({ base }) => base.address.family === family)
    .map((base) => ({ base, range: rangeOf(base.base) }))
    .sort((one, other) => Number(one.range.first - other.range.first) || one.base.base.prefixLength - other.base.base.prefixLength) // prettier-ignore
  let end = -1n
  return sorted.flatMap(({ base, range }) => {
    if (range.first <= end) return []
    end = range.last
    return [base]
  })
}

/** Reads the CIDR of a pool. @throws InvalidPoolError (`ERR_INVALID_POOL`) */
export function parsePool(text: string): Cidr {
  try {
    return parseCidr(text)
  } catch (cause) {
    throw new InvalidPoolError(text, 'ADDRESS/LENGTH, such as 10.0.0.0/24 or fd00::/64', cause)
  }
}

/** A /48 that nobody else is likely to have. RFC 4193, 3.2. */
export function randomUniqueLocal(random: (length: number) => Uint8Array = randomBytes): Cidr {
  let prefix = 0xfdn
  for (const byte of random(5)) prefix = (prefix << 8n) | BigInt(byte)
  return { address: { family: 6, value: prefix << 80n }, prefixLength: 48 }
}
