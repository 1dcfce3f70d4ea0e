import { crc32 } from 'node:zlib'

/** A record that was found damaged, as it was found. */
export interface DamagedRecord {
  readonly key: string
  readonly bytes: Uint8Array
}

/** Where a damaged record is kept: the same record in the same place, however often it is found. */
export function asideKey(key: string, record: Uint8Array): Buffer {
  const mark = crc32(record).toString(16).padStart(8, '0')
  return Buffer.concat([Buffer.from(key), Buffer.of(0), Buffer.from(mark)])
}

/** The key of the record that is kept under `aside`. */
export function keyOfAside(aside: Uint8Array): string {
  return Buffer.from(aside.subarray(0, aside.indexOf(0))).toString()
}
