/** Whether this machine's byte order is little-endian. Netlink headers are in the machine's order. */
export const littleEndian: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

const INITIAL_BYTES = 1024

/**
 * A growing buffer that messages are written into, one after another, without a copy for each part.
 * Numbers are in the machine's byte order unless the name says otherwise (`be`).
 */
export class Writer {
  #bytes = new Uint8Array(INITIAL_BYTES)
  #view = new DataView(this.#bytes.buffer)
  #length = 0

  /** Begins anew; what was written is no longer valid. */
  clear(): void {
    this.#length = 0
  }

  /** Number of bytes written. */
  get length(): number {
    return this.#length
  }

  /** What was written; valid until the next write. */
  written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  u8(value: number): void {
    const at = this.#room(1)
    this.#view.setUint8(at, value)
  }

  u16(value: number): void {
    const at = this.#room(2)
    this.#view.setUint16(at, value, littleEndian)
  }

  u32(value: number): void {
    const at = this.#room(4)
    this.#view.setUint32(at, value, littleEndian)
  }

  i32(value: number): void {
    const at = this.#room(4)
    this.#view.setInt32(at, value, littleEndian)
  }

  u64(value: bigint): void {
    const at = this.#room(8)
    this.#view.setBigUint64(at, value, littleEndian)
  }

  be16(value: number): void {
    const at = this.#room(2)
    this.#view.setUint16(at, value)
  }

  be32(value: number): void {
    const at = this.#room(4)
    this.#view.setUint32(at, value)
  }

  be64(value: bigint): void {
    const at = this.#room(8)
    this.#view.setBigUint64(at, value)
  }

  bytes(value: Uint8Array): void {
    const at = this.#room(value.length)
    this.#bytes.set(value, at)
  }

  /** UTF-8 text and a zero byte. */
  zstring(value: string): void {
    for (let at = 0; at < value.length; at++) {
      if (value.charCodeAt(at) > 127) {
        this.bytes(new TextEncoder().encode(value.slice(at)))
        break
      }
      this.u8(value.charCodeAt(at))
    }
    this.u8(0)
  }

  /** Zero bytes up to the next multiple of four. */
  align(): void {
    while (this.#length % 4 !== 0) this.u8(0)
  }

  /** Overwrites two bytes written before. */
  patchU16(at: number, value: number): void {
    this.#view.setUint16(at, value, littleEndian)
  }

  /** Overwrites four bytes written before. */
  patchU32(at: number, value: number): void {
    this.#view.setUint32(at, value, littleEndian)
  }

  /** Makes room first: buffer and view are others once it has grown. */
  #room(count: number): number {
    const at = this.#length
    this.#length += count
    if (this.#length > this.#bytes.length) this.#grow()
    return at
  }

  #grow(): void {
    const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length * 2))
    bytes.set(this.#bytes)
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer)
  }
}
