import { encodeBase64 } from './base64.ts'

/** Keys in etcd: the first of them, and the first that is none of them. */
export interface KeyRange {
  readonly first: Uint8Array
  readonly end: Uint8Array
}

/** A range as etcd's messages have it. */
export function encodeRange({ first, end }: KeyRange): { readonly key: string; readonly range_end: string } {
  return { key: encodeBase64(first), range_end: encodeBase64(end) }
}

/** The key behind this one: none lies between a key and the same with a NUL behind it. */
export function following(key: Uint8Array): Uint8Array {
  return Buffer.concat([key, Buffer.from([0])])
}

// A byte-order mark is part of a key like any other character.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Keys of one kind below the store's prefix: how they are called here, and what etcd is told. */
export class KeySpace {
  readonly #start: Buffer

  constructor(start: string) {
    this.#start = Buffer.from(start)
  }

  /** What etcd calls a key, in base64. */
  key(key: string): string {
    return encodeBase64(Buffer.concat([this.#start, Buffer.from(key)]))
  }

  /** Every key that begins with `prefix`, from behind `after` on. */
  range(prefix: string, after = ''): KeyRange {
    const first = Buffer.concat([this.#start, Buffer.from(prefix)])
    const next = following(Buffer.concat([this.#start, Buffer.from(after)]))
    return { first: after !== '' && Buffer.compare(next, first) > 0 ? next : first, end: behind(first) }
  }

  /** The key that etcd calls so; `undefined` where somebody else made one that none of ours can be. */
  nameOf(bytes: Uint8Array): string | undefined {
    if (Buffer.compare(bytes.subarray(0, this.#start.length), this.#start) !== 0) return undefined
    try {
      return decoder.decode(bytes.subarray(this.#start.length))
    } catch {
      // Not UTF-8, which is all that it says.
      return undefined
    }
  }
}

/** The first key that does not begin with `prefix`. UTF-8 has no byte that cannot be raised. */
function behind(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix)
  end.writeUInt8((end.at(-1) ?? 0) + 1, end.length - 1)
  return end
}
