import { MalformedMessageError, ValueOutOfRangeError } from './errors.ts'
import { littleEndian, type Writer } from './writer.ts'

// linux/netlink.h: NLA_HDRLEN, NLA_TYPE_MASK, NLA_F_NESTED
const HEADER_LENGTH = 4
const TYPE_MASK = 0x3fff
const NLA_F_NESTED = 0x8000
/** An attribute carries its length in 16 bits, header included. */
const MAX_LENGTH = 0xffff

/** Turns one value into the payload of an attribute, and back. */
export interface AttributeCodec<T> {
  readonly nested?: boolean
  write(writer: Writer, value: T): void
  /**
   * Reads the payload that lies from `start` to before `end`.
   *
   * @defaultValue all of `bytes`
   * @throws MalformedMessageError (`ERR_MALFORMED_MESSAGE`) when it cannot be a T
   */
  read(bytes: Uint8Array, start?: number, end?: number): T
}

/** Names the attributes of a set: `{ mtu: [4, u32] }` is attribute type 4, a u32. */
export type AttributeSpec = Readonly<Record<string, readonly [type: number, codec: AttributeCodec<unknown>]>>

/** The object that a spec describes. Absent attributes are absent keys. */
export type AttributesOf<Spec> = {
  readonly [Name in keyof Spec]?: Spec[Name] extends readonly [number, AttributeCodec<infer T>] ? T | undefined : never
}

/**
 * Builds the codec of a whole set from a table. Sets nest, since the result is itself an
 * {@link AttributeCodec}. Attributes are written in the order of the value's keys. Types not in
 * the table are skipped when reading: a newer kernel may send more than we know.
 */
export function attributes<const Spec extends AttributeSpec>(spec: Spec): AttributeCodec<AttributesOf<Spec>> {
  const entries = Object.entries(spec)
  const byName = new Map(entries)
  const byType = new Map(entries.map(([name, [type, codec]]) => [type, { name, codec }]))

  return {
    nested: true,
    write(writer, values) {
      // Thousands of elements are written in one go: without an array for each of them.
      for (const name in values) {
        const value = values[name]
        const entry = value === undefined ? undefined : byName.get(name)
        if (entry !== undefined) writeAttribute(writer, entry[0], entry[1], value)
      }
    },
    read(bytes, start, end) {
      const values: Record<string, unknown> = {}
      const read = (type: number, from: number, to: number): void => {
        const known = byType.get(type)
        if (known !== undefined) values[known.name] = known.codec.read(bytes, from, to)
      }
      walkAttributes(bytes, read, start, end)
      return values as AttributesOf<Spec>
    },
  }
}

/** Writes one attribute: header, payload, padding. */
export function writeAttribute<T>(writer: Writer, type: number, codec: AttributeCodec<T>, value: T): void {
  const start = writer.length
  writer.u16(0)
  writer.u16(codec.nested === true ? type | NLA_F_NESTED : type)
  codec.write(writer, value)
  const length = writer.length - start
  if (length > MAX_LENGTH) {
    throw new ValueOutOfRangeError(`attribute ${type}`, `of ${length} bytes`, `at most ${MAX_LENGTH} bytes`)
  }
  writer.patchU16(start, length)
  writer.align()
}

/**
 * Visits the attributes that lie one after another from `start` to before `end`, and says where each one's payload
 * lies. Copies nothing and makes nothing: of most that the kernel sends, nobody wants to see it.
 */
export function walkAttributes(
  bytes: Uint8Array,
  visit: (type: number, start: number, end: number) => void,
  start = 0,
  end = bytes.length,
): void {
  const { byteOffset } = bytes
  const view = viewOfBuffer(bytes.buffer)
  for (let at = start; at < end;) {
    if (end - at < HEADER_LENGTH) throw new MalformedMessageError('attribute header cut short', at - start)
    const length = view.getUint16(byteOffset + at, littleEndian)
    if (length < HEADER_LENGTH || at + length > end) {
      throw new MalformedMessageError(`attribute length ${length}`, at - start)
    }
    visit(view.getUint16(byteOffset + at + 2, littleEndian) & TYPE_MASK, at + HEADER_LENGTH, at + length)
    at += (length + 3) & ~3
  }
}

/** A view on the bytes of `bytes`, and no others of its buffer. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

let latest: DataView | undefined

/** A view on a whole buffer. That of the latest is kept: all that is received comes in one. */
export function viewOfBuffer(buffer: ArrayBufferLike): DataView {
  if (latest?.buffer !== buffer) latest = new DataView(buffer)
  return latest
}

function fixed<T>(
  name: string,
  length: number,
  write: (writer: Writer, value: T) => void,
  read: (view: DataView, at: number) => T,
): AttributeCodec<T> {
  return {
    write,
    read(bytes, start = 0, end = bytes.length) {
      if (end - start < length) throw new MalformedMessageError(`${end - start} bytes for a ${name}`, 0)
      return read(viewOfBuffer(bytes.buffer), bytes.byteOffset + start)
    },
  }
}

export const u8: AttributeCodec<number> = fixed(
  'u8',
  1,
  (writer, value) => {
    writer.u8(value)
  },
  (view, at) => view.getUint8(at),
)
export const u16: AttributeCodec<number> = fixed(
  'u16',
  2,
  (writer, value) => {
    writer.u16(value)
  },
  (view, at) => view.getUint16(at, littleEndian),
)
export const u32: AttributeCodec<number> = fixed(
  'u32',
  4,
  (writer, value) => {
    writer.u32(value)
  },
  (view, at) => view.getUint32(at, littleEndian),
)
export const i32: AttributeCodec<number> = fixed(
  'i32',
  4,
  (writer, value) => {
    writer.i32(value)
  },
  (view, at) => view.getInt32(at, littleEndian),
)
export const u64: AttributeCodec<bigint> = fixed(
  'u64',
  8,
  (writer, value) => {
    writer.u64(value)
  },
  (view, at) => view.getBigUint64(at, littleEndian),
)
export const be16: AttributeCodec<number> = fixed(
  'be16',
  2,
  (writer, value) => {
    writer.be16(value)
  },
  (view, at) => view.getUint16(at),
)
export const be32: AttributeCodec<number> = fixed(
  'be32',
  4,
  (writer, value) => {
    writer.be32(value)
  },
  (view, at) => view.getUint32(at),
)
export const be64: AttributeCodec<bigint> = fixed(
  'be64',
  8,
  (writer, value) => {
    writer.be64(value)
  },
  (view, at) => view.getBigUint64(at),
)

/** An attribute whose being there says it all. */
export const flag: AttributeCodec<true> = { write: () => undefined, read: () => true }

/** Bytes as they are. What is read is a copy. */
export const bytes: AttributeCodec<Uint8Array> = {
  write: (writer, value) => {
    writer.bytes(value)
  },
  read: (all, start, end) => all.slice(start, end),
}

const utf8 = new TextDecoder()

/** Text with a zero byte at its end. */
export const zstring: AttributeCodec<string> = {
  write: (writer, value) => {
    writer.zstring(value)
  },
  read(all, start = 0, end = all.length) {
    const zero = all.indexOf(0, start)
    return utf8.decode(all.subarray(start, zero < 0 || zero > end ? end : zero))
  },
}

/** A list: attributes of one type (nftables' NFTA_LIST_ELEM), one for each item. */
export function list<T>(itemType: number, item: AttributeCodec<T>): AttributeCodec<readonly T[]> {
  return {
    nested: true,
    write(writer, values) {
      for (const value of values) writeAttribute(writer, itemType, item, value)
    },
    read(all, start, end) {
      const values: T[] = []
      const read = (type: number, from: number, to: number): void => {
        if (type === itemType) values.push(item.read(all, from, to))
      }
      walkAttributes(all, read, start, end)
      return values
    },
  }
}
