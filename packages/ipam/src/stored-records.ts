import { ValueDamagedError } from '@net/datastore'
import { addressBits, networkOf, parseCidr, formatCidr, type AddressFamily, type Cidr } from '@net/types'

/** Version of the keys and records below. Another one lives beside it. */
const ROOT = 'ipam/v1'

/** What a pool's record says. */
export interface PoolRecord {
  /** Told apart from a pool of the same CIDR before or after it: what is left of one never counts for another. */
  readonly incarnation: string
  /** Whether the pool itself is held, and not only parts of it. */
  readonly isHeld: boolean
  /** CIDRs of the sub-pools that are held. */
  readonly parts: readonly string[]
  /** Tells this writing of the record from all others: who does not know whether his took place finds it out. */
  readonly change?: string | undefined
}

/** What is recorded of an address space as a whole. It is written with every change of its pools. */
export interface SpaceRecord {
  /** Counts the changes. */
  readonly generation: number
  /** CIDR that IPv6 pools are cut out of, the same for all who share the store. */
  readonly uniqueLocal: string
}

/** Where the records of one address space lie. Addresses are in the order of their numbers. */
export class SpaceKeys {
  readonly space: string
  readonly pools: string
  readonly doomed: string
  readonly #root: string

  constructor(space: string) {
    this.#root = `${ROOT}/${space}`
    this.space = `${this.#root}/space`
    this.pools = `${this.#root}/pool/`
    this.doomed = `${this.#root}/doomed/`
  }

  pool({ address, prefixLength }: Cidr): string {
    return `${this.pools}${address.family}/${encodeValue(address.family, address.value)}/${prefixLength}`
  }

  /** Addresses of a pool: each has a key, whose value says who holds it. */
  addresses(incarnation: string): string {
    return `${this.#root}/address/${incarnation}/`
  }

  address(incarnation: string, family: AddressFamily, value: bigint): string {
    return this.addresses(incarnation) + encodeValue(family, value)
  }

  /** Owners of a pool: each has a key, whose value is the address. */
  owners(incarnation: string): string {
    return `${this.#root}/owner/${incarnation}/`
  }

  owner(incarnation: string, owner: string): string {
    return this.owners(incarnation) + owner.replace(/[%/\0]/g, encodeURIComponent)
  }
}

function encodeValue(family: AddressFamily, value: bigint): string {
  return value.toString(16).padStart(addressBits(family) / 4, '0')
}

/** The number at the end of an address' key. */
export function decodeAddressKey(key: string): bigint {
  const digits = key.slice(key.lastIndexOf('/') + 1)
  if (!/^([0-9a-f]{8}|[0-9a-f]{32})$/.test(digits)) throw new ValueDamagedError(key, 'expected an address in its key')
  return BigInt(`0x${digits}`)
}

/** The CIDR at the end of a pool's key. */
export function decodePoolKey(key: string): Cidr {
  const parts = /\/([46])\/([0-9a-f]+)\/(0|[1-9][0-9]{0,2})$/.exec(key)
  const family = parts?.[1] === '4' ? 4 : 6
  const digits = parts?.[2] ?? ''
  const cidr = { address: { family, value: BigInt(`0x0${digits}`) }, prefixLength: Number(parts?.[3]) } as const
  const isValid =
    digits.length === addressBits(family) / 4 &&
    cidr.prefixLength <= addressBits(family) &&
    networkOf(cidr).address.value === cidr.address.value
  if (!isValid) throw new ValueDamagedError(key, 'expected a CIDR in its key')
  return cidr
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

export function encodeText(text: string): Uint8Array {
  return encoder.encode(text)
}

/** @throws ValueDamagedError (`ERR_VALUE_DAMAGED`) */
export function decodeText(key: string, value: Uint8Array): string {
  try {
    return decoder.decode(value)
  } catch {
    throw new ValueDamagedError(key, 'expected UTF-8')
  }
}

export function encodeRecord(record: PoolRecord | SpaceRecord): Uint8Array {
  return encodeText(JSON.stringify(record))
}

/** @throws ValueDamagedError (`ERR_VALUE_DAMAGED`) */
export function decodePoolRecord(key: string, value: Uint8Array): PoolRecord {
  const { incarnation, isHeld, parts, change } = decodeObject(key, value)
  const isValid =
    typeof incarnation === 'string' &&
    /^[0-9a-z]{1,16}$/.test(incarnation) &&
    typeof isHeld === 'boolean' &&
    Array.isArray(parts) &&
    parts.every(isCidr)
  if (!isValid) throw new ValueDamagedError(key, 'expected the record of a pool')
  return { incarnation, isHeld, parts, change: typeof change === 'string' ? change : undefined }
}

/** @throws ValueDamagedError (`ERR_VALUE_DAMAGED`) */
export function decodeSpaceRecord(key: string, value: Uint8Array): SpaceRecord {
  const { generation, uniqueLocal } = decodeObject(key, value)
  const isValid = Number.isSafeInteger(generation) && Number.isSafeInteger((generation as number) + 1)
  if (!isValid || !isUniqueLocal(uniqueLocal)) {
    throw new ValueDamagedError(key, 'expected the record of an address space')
  }
  return { generation: generation as number, uniqueLocal }
}

function decodeObject(key: string, value: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const record: unknown = JSON.parse(decodeText(key, value))
    if (typeof record === 'object' && record !== null) return record as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw new ValueDamagedError(key, 'expected a JSON object')
}

/** Whether it is a prefix of RFC 4193, section 3.2: a /48 of fd00::/8. */
function isUniqueLocal(text: unknown): text is string {
  return isCidr(text) && /^fd.*::\/48$/.test(text)
}

function isCidr(text: unknown): text is string {
  try {
    return typeof text === 'string' && formatCidr(networkOf(parseCidr(text))) === text
  } catch {
    return false
  }
}
