import {
  AddressInUseError,
  AddressOutOfRangeError,
  NoAddressAvailableError,
  type AddressRequest,
  type PoolStatus,
  type TakenAddress,
} from '@net/ipamapi'
import { addressBits, formatAddress, formatCidr, parseAddress, rangeOf, type Cidr } from '@net/types'
import { AddressSet } from './address-set.ts'
import { Owners } from './owners.ts'
import { RangeIndex, type Range } from './range-index.ts'

/** A pool or sub-pool that somebody holds: what a pool id stands for. */
export interface HeldPool extends Range {
  readonly id: string
  readonly text: string
  /** Whether it is all of `master`, and not a sub-pool. */
  readonly isWhole: boolean
  readonly master: AddressPool
}

/** The addresses of a whole pool. Its sub-pools hand out of the same. */
export class AddressPool implements Range {
  readonly cidr: Cidr
  readonly text: string
  readonly first: bigint
  readonly last: bigint
  /** Whether the pool itself is held, and not only parts of it. */
  isHeld = false
  readonly subPools = new RangeIndex<HeldPool>()
  /** Offsets of the network address and, where there is one, of the broadcast address: nobody can have them. */
  readonly #reserved: readonly bigint[]
  /** Made when it is needed: of most pools, nobody here asks for an address. */
  #madeAddresses: AddressSet | undefined
  #madeOwners: Owners | undefined

  /** `cidr` must have no host bits. */
  constructor(cidr: Cidr) {
    this.cidr = cidr
    this.text = formatCidr(cidr)
    const { first, last } = rangeOf(cidr)
    this.first = first
    this.last = last
    // RFC 3021, RFC 6164: on a link of two, both addresses are those of hosts.
    this.#reserved = this.#hostBits > 1 ? [0n, ...(cidr.address.family === 4 ? [last - first] : [])] : []
  }

  /** Whether nobody holds it or a part of it any more. */
  get isIdle(): boolean {
    return !this.isHeld && this.subPools.size === 0
  }

  /** Takes an address for whoever holds `pool`. */
  request(pool: HeldPool, request: AddressRequest): TakenAddress {
    return { address: `${this.format(this.take(pool, request))}/${this.cidr.prefixLength}`, data: {} }
  }

  /** As {@link AddressPool.request}: the address as a number. */
  take(pool: HeldPool, { address, owner, serial = false }: AddressRequest): bigint {
    const offset = address === undefined ? this.#takeAny(pool, owner, serial) : this.#takeSpecific(pool, address, owner)
    if (owner !== undefined) this.#owners.add(offset, owner)
    return this.first + offset
  }

  /** An address of the pool by its number, without prefix length. */
  format(value: bigint): string {
    return formatAddress({ family: this.cidr.address.family, value })
  }

  /** Lets an address go. Network and broadcast address are held by nobody, so they stay as they are. */
  release(address: string): void {
    const offset = this.#offsetOf(address)
    if (this.#isReserved(offset)) return
    this.#addresses.remove(offset)
    this.#madeOwners?.remove(offset)
  }

  /** Undoes {@link AddressPool.take} of any address: also serial requests go on as if it had not been. */
  giveBack(value: bigint): void {
    this.#addresses.giveBack(value - this.first)
  }

  /** How full the pool is, and what is left in the part of it that is `pool`. */
  status(pool: HeldPool): PoolStatus {
    const { size } = this.#addresses
    const taken = pool.isWhole ? size : this.#addresses.count(pool.first - this.first, pool.last - this.first)
    return { taken: size, available: pool.last - pool.first + 1n - taken }
  }

  /** Takes in what is taken of a part of the pool: their numbers, in order. Nothing else of it is. */
  learn({ first, last }: Range, taken: readonly bigint[]): void {
    const part = { first: first - this.first, last: last - this.first }
    const offsets = this.#withReserved(part, taken.map((value) => value - this.first)) // prettier-ignore
    for (const offset of offsets) this.#addresses.add(offset)
    this.#addresses.removeOthers(part.first, part.last, offsets)
  }

  /** Number of an address. @throws AddressOutOfRangeError (`ERR_ADDRESS_OUT_OF_RANGE`) */
  numberOf(address: string): bigint {
    return this.first + this.#offsetOf(address)
  }

  #takeAny(pool: HeldPool, owner: string | undefined, serial: boolean): bigint {
    const first = pool.first - this.first
    const last = pool.last - this.first
    const held = owner === undefined ? undefined : this.#madeOwners?.find(owner, first, last)
    const offset = held ?? this.#addresses.take(first, last, serial)
    if (offset === undefined) throw new NoAddressAvailableError(pool.id)
    return offset
  }

  #takeSpecific(pool: HeldPool, address: string, owner: string | undefined): bigint {
    const offset = this.#offsetOf(address)
    const isOwn = owner !== undefined && this.#madeOwners?.get(offset) === owner
    if (isOwn || this.#addresses.add(offset)) return offset
    // As libnetwork: where nothing is left, that is the answer, whichever address was asked for.
    const isFull = this.#addresses.size === this.last - this.first + 1n
    throw isFull ? new NoAddressAvailableError(pool.id) : new AddressInUseError(address, pool.id)
  }

  #offsetOf(text: string): bigint {
    const { family, value } = parseAddress(text)
    if (family !== this.cidr.address.family || value < this.first || value > this.last) {
      throw new AddressOutOfRangeError(text, this.text)
    }
    return value - this.first
  }

  get #hostBits(): number {
    return addressBits(this.cidr.address.family) - this.cidr.prefixLength
  }

  get #addresses(): AddressSet {
    if (this.#madeAddresses !== undefined) return this.#madeAddresses
    this.#madeAddresses = new AddressSet(this.#hostBits)
    this.#holdReserved()
    return this.#madeAddresses
  }

  get #owners(): Owners {
    return (this.#madeOwners ??= new Owners())
  }

  #holdReserved(): void {
    for (const offset of this.#reserved) this.#addresses.add(offset)
  }

  /** Offsets in order, and among them those in the same part that nobody can have. */
  #withReserved({ first, last }: Range, offsets: readonly bigint[]): readonly bigint[] {
    const [lowest, highest] = this.#reserved
    const before = lowest === undefined || lowest < first || offsets[0] === lowest ? [] : [lowest]
    const after = highest === undefined || highest > last || offsets.at(-1) === highest ? [] : [highest]
    return [...before, ...offsets, ...after]
  }

  #isReserved(offset: bigint): boolean {
    return this.#reserved.includes(offset)
  }
}
