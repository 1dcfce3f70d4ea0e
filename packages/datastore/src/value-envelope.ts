import { crc32 } from 'node:zlib'
import { ValueDamagedError } from './errors.ts'

const FORMAT = 1
/** What a sealed value has before the value: a byte of format and four of checksum. */
export const SEAL_BYTES = 5

/**
 * Wraps a value for a medium that does not notice damage: a byte that names the format, a CRC-32, the value. The
 * checksum is that of key and value, so that a value that turns up under another key is noticed too.
 */
export function sealValue(key: string, value: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(SEAL_BYTES + value.length)
  sealed.set(value, SEAL_BYTES)
  sealInPlace(key, sealed)
  return sealed
}

/** As {@link sealValue}, for a value that has {@link SEAL_BYTES} of room before it: it is not copied. */
export function sealInPlace(key: string, sealed: Uint8Array): void {
  sealed[0] = FORMAT
  viewOf(sealed).setUint32(1, checksum(key, sealed.subarray(SEAL_BYTES)))
}

/**
 * The value that {@link sealValue} wrapped for this key, as a view of the same memory.
 *
 * @throws `ERR_VALUE_DAMAGED`
 */
export function openValue(key: string, sealed: Uint8Array): Uint8Array {
  if (sealed.length < SEAL_BYTES) throw new ValueDamagedError(key, `${sealed.length} bytes are no sealed value`)
  if (sealed[0] !== FORMAT) throw new ValueDamagedError(key, `expected format ${FORMAT}, found ${String(sealed[0])}`)
  const value = sealed.subarray(SEAL_BYTES)
  if (viewOf(sealed).getUint32(1) !== checksum(key, value)) throw new ValueDamagedError(key, 'the checksum differs')
  return value
}

function checksum(key: string, value: Uint8Array): number {
  // Of no bytes, zlib returns 0 or the checksum so far, depending on whether they have a place in memory.
  return value.length === 0 ? crc32(key) : crc32(value, crc32(key))
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
