import { openValue, SEAL_BYTES, sealInPlace, sealValue, type StoreEvent } from '@net/datastore'
import { crc32 } from 'node:zlib'

/** What is stored under a key. */
export interface EntryRecord {
  readonly version: number
  readonly lease: string | undefined
  readonly value: Uint8Array
}

/** What is stored about a lease. */
export interface LeaseRecord {
  readonly ttlMs: number
  /** By the clock that all processes share, in milliseconds since 1970. */
  readonly expiresAt: number
}

/** Bytes of a checksum. */
const CRC_BYTES = 4
/** Where in a record the version begins, and where the lease's id or, without one, the value. */
const VERSION_AT = CRC_BYTES + SEAL_BYTES
const VALUE_AT = VERSION_AT + 9

/**
 * The checksum of the key (4 bytes), and, sealed together with the key: version (8), length of the lease's id (1), the
 * id, the value. The key's own checksum tells a damaged value from a record whose key is not what it was.
 */
export function encodeEntry(key: string, { version, lease = '', value }: EntryRecord): Uint8Array {
  const record = Buffer.allocUnsafe(VALUE_AT + lease.length + value.length)
  record.writeUInt32BE(crc32(key))
  record.writeDoubleBE(version, VERSION_AT)
  record.writeUInt8(lease.length, VERSION_AT + 8)
  record.write(lease, VALUE_AT, 'latin1')
  record.set(value, VALUE_AT + lease.length)
  sealInPlace(key, record.subarray(CRC_BYTES))
  return record
}

/** @throws `ERR_VALUE_DAMAGED` */
export function decodeEntry(key: string, record: Uint8Array): EntryRecord {
  const bytes = bufferOf(openValue(key, record.subarray(CRC_BYTES)))
  const end = 9 + bytes.readUInt8(8)
  const lease = bytes.toString('latin1', 9, end)
  // A copy: what LMDB hands out is its own memory.
  const value = new Uint8Array(bytes.subarray(end))
  return { version: bytes.readDoubleBE(), lease: lease === '' ? undefined : lease, value }
}

/** Whether a record, even a damaged one, was written under this key. */
export function isOfKey(key: string, record: Uint8Array): boolean {
  return Buffer.compare(record.subarray(0, CRC_BYTES), checksumOf(key)) === 0
}

function checksumOf(text: string): Buffer {
  const bytes = Buffer.alloc(CRC_BYTES)
  bytes.writeUInt32BE(crc32(text))
  return bytes
}

export function encodeLease(id: string, lease: LeaseRecord): Uint8Array {
  return sealValue(id, Buffer.from(JSON.stringify(lease)))
}

/** @throws `ERR_VALUE_DAMAGED` */
export function decodeLease(id: string, bytes: Uint8Array): LeaseRecord {
  return JSON.parse(bufferOf(openValue(id, bytes)).toString()) as LeaseRecord
}

/** Bytes of the length of a log record's head. */
const LENGTH_BYTES = 4

/** One event in the head of a log record. `length` and `crc` are those of its value. */
interface LoggedEvent {
  readonly type: 'put' | 'delete'
  readonly key: string
  readonly length: number
  readonly crc: number
}

/** Length of the head (4 bytes), the head (sealed JSON), and the values one after another, each with its own checksum. */
export function encodeChange(events: readonly StoreEvent[]): Uint8Array {
  const head = JSON.stringify(events.map(describeEvent))
  const headEnd = LENGTH_BYTES + SEAL_BYTES + Buffer.byteLength(head)
  const record = Buffer.allocUnsafe(events.reduce((end, event) => end + valueOf(event).length, headEnd))
  record.writeUInt32BE(headEnd - LENGTH_BYTES)
  record.write(head, LENGTH_BYTES + SEAL_BYTES)
  sealInPlace('log', record.subarray(LENGTH_BYTES, headEnd))
  let at = headEnd
  for (const event of events) {
    record.set(valueOf(event), at)
    at += valueOf(event).length
  }
  return record
}

function describeEvent(event: StoreEvent): LoggedEvent {
  const { length } = valueOf(event)
  return { type: event.type === 'put' ? 'put' : 'delete', key: event.key, length, crc: crc32(valueOf(event)) }
}

const NOTHING = Buffer.alloc(0)

function valueOf(event: StoreEvent): Uint8Array {
  return event.type === 'put' ? event.value : NOTHING
}

/** The events of a change; a value that is damaged is an event of its own sort. @throws `ERR_VALUE_DAMAGED` */
export function decodeChange(revision: number, bytes: Uint8Array): StoreEvent[] {
  const buffer = bufferOf(bytes)
  const end = LENGTH_BYTES + (buffer.length < LENGTH_BYTES ? 0 : buffer.readUInt32BE())
  const head = JSON.parse(bufferOf(openValue('log', buffer.subarray(LENGTH_BYTES, end))).toString()) as LoggedEvent[]
  let at = end
  return head.map(({ type, key, length, crc }): StoreEvent => {
    const value = new Uint8Array(buffer.subarray(at, (at += length)))
    if (type === 'delete') return { type, key }
    const isWhole = value.length === length && crc32(value) === crc
    return isWhole ? { type, key, value, version: revision } : { type: 'damaged', key }
  })
}

/** The key of a revision in the table `log`. */
export function logKey(revision: number): Buffer {
  const key = Buffer.allocUnsafe(8)
  key.writeUInt32BE(Math.floor(revision / 2 ** 32))
  key.writeUInt32BE(revision >>> 0, 4)
  return key
}

/** The key of an entry in the table `bound`. */
export function boundKey(lease: string, key: string): string {
  return `${lease}/${key}`
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
