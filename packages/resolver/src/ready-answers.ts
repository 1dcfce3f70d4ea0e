import { HEADER_BYTES } from './dns-codes.ts'

/** Queries and answers kept at most; when there are more, all are forgotten. */
const MAX_ENTRIES = 4096
const MAX_BYTES = 1024 * 1024
const ID_BYTES = 2

/** The encoded answers to one query, each of which begins with another record. */
interface Entry {
  readonly query: Uint8Array
  /** How many there will be. */
  readonly count: number
  readonly rotations: Uint8Array[]
  next: number
}

/**
 * Answers that were encoded before, found by the bytes of the query behind its id: whoever asks the
 * same in the same words gets the same answer. Looking one up allocates nothing.
 */
export class ReadyAnswers {
  readonly #entries = new Map<number, Entry>()
  #bytes = 0

  /** The next answer to the query at `start`; undefined until there are all of them. */
  find(bytes: Uint8Array, start: number, length: number): Uint8Array | undefined {
    if (length <= HEADER_BYTES) return undefined
    const entry = this.#entries.get(hash(bytes, start, length))
    if (entry === undefined || !isSame(entry.query, bytes, start, length)) return undefined
    if (entry.rotations.length < entry.count) return undefined
    const answer = entry.rotations[entry.next]
    entry.next = entry.next + 1 < entry.count ? entry.next + 1 : 0
    return answer
  }

  /**
   * Encodes the next of `count` answers to a query and keeps it: one a time, so that a question in
   * ever new words costs no more than an answer.
   */
  encodeNext(query: Uint8Array, count: number, encode: (rotation: number) => Uint8Array): Uint8Array {
    const entry = this.#entryFor(query, count)
    const answer = encode(entry.rotations.length)
    entry.rotations.push(answer)
    this.#bytes += answer.length
    return answer
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear()
    this.#bytes = 0
  }

  /** The entry of a query that still lacks answers. Of two queries with the same hash the later is kept. */
  #entryFor(query: Uint8Array, count: number): Entry {
    const key = hash(query, 0, query.length)
    const known = this.#entries.get(key)
    if (known !== undefined && known.rotations.length < known.count && isSame(known.query, query, 0, query.length)) {
      return known
    }
    if (this.#entries.size >= MAX_ENTRIES || this.#bytes >= MAX_BYTES) this.clear()
    const entry = { query, count, rotations: [], next: 0 }
    this.#entries.set(key, entry)
    this.#bytes += query.length
    return entry
  }
}

/** FNV-1a, as a small integer: those are map keys that need no allocation. */
function hash(bytes: Uint8Array, start: number, length: number): number {
  let value = 0x811c9dc5 | 0
  for (let at = start + ID_BYTES; at < start + length; at++) value = Math.imul(value ^ (bytes[at] ?? 0), 0x01000193)
  return value
}

function isSame(query: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  if (query.length !== length) return false
  for (let at = ID_BYTES; at < length; at++) if (query[at] !== bytes[start + at]) return false
  return true
}
