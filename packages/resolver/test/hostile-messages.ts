/** Messages that look like DNS for some way, and then no longer: the same ones for the same seed. */
export class HostileMessages {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number below `limit`. */
  below(limit: number): number {
    // mulberry32
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }

  /** What might be asked. */
  question(): Uint8Array {
    if (this.below(20) === 0) return Uint8Array.from(this.#bytes(this.below(600)))
    const counts = [this.#usually(1), this.#rarely(), this.#rarely(), this.below(2)]
    const flags = this.#flags(0)
    const sections = [
      ...Array.from({ length: Math.min(counts[0] ?? 0, 3) }, () => this.#entry()),
      ...Array.from({ length: Math.min((counts[3] ?? 0) + this.#rarely(), 4) }, () => this.#record('question')),
    ]
    return this.#damaged([...this.#bytes(2), ...flags, ...counts.flatMap(twoBytes), ...sections.flat()])
  }

  /** What might be answered to `asked`, whose question ends at `questionEnd`; mostly with its id and its question. */
  reply(asked: Uint8Array, questionEnd: number): Uint8Array {
    if (this.below(30) === 0) return Uint8Array.from(this.#bytes(this.below(600)))
    const id = this.below(20) === 0 ? this.#bytes(2) : [...asked.subarray(0, 2)]
    const question = this.below(20) === 0 ? this.#entry() : [...asked.subarray(12, questionEnd)]
    const many = this.below(30) === 0 ? this.below(400) : this.below(6)
    const records = Array.from({ length: many }, () => this.#record('reply'))
    const answers = this.below(many + 1)
    const authorities = this.below(many - answers + 1)
    const counts = [1, answers, authorities, many - answers - authorities]
    if (this.below(20) === 0) counts[this.below(4)] = this.below(65_536)
    const header = [...id, ...this.#flags(0x80), ...counts.flatMap(twoBytes)]
    return this.#damaged([...header, ...question, ...records.flat()])
  }

  #flags(response: number): number[] {
    if (this.below(12) === 0) return this.#bytes(2)
    const truncated = this.below(10) === 0 ? 2 : 0
    return [response | 1 | truncated, this.below(6) === 0 ? this.below(256) : 0x80]
  }

  #entry(): number[] {
    const type = this.below(4) === 0 ? this.below(65_536) : this.#oneOf([1, 28, 12, 33, 15, 16, 255, 5, 6])
    return [
      ...(this.below(4) === 0 ? this.#name() : this.#labels()),
      ...twoBytes(type),
      ...twoBytes(this.below(15) === 0 ? this.below(65_536) : 1),
    ]
  }

  #record(of: 'question' | 'reply'): number[] {
    if (this.below(of === 'question' ? 2 : 8) === 0) return this.#opt()
    const type = this.#oneOf([1, 28, 5, 6, 12, 16, 33, 41, this.below(65_536)])
    const data = this.#dataOf(type)
    const length = this.below(25) === 0 ? this.below(65_536) : data.length
    const ttl = this.below(4) === 0 ? this.#bytes(4) : [0, 0, 0, this.below(256)]
    return [...this.#name(), ...twoBytes(type), 0, 1, ...ttl, ...twoBytes(length), ...data]
  }

  #opt(): number[] {
    const size = this.#oneOf([0, 12, 512, 1232, 4096, 65_535, this.below(65_536)])
    const options = this.below(3) === 0 ? this.#bytes(this.below(900)) : []
    const version = this.below(10) === 0 ? this.below(256) : 0
    return [0, 0, 41, ...twoBytes(size), 0, version, ...this.#bytes(2), ...twoBytes(options.length), ...options]
  }

  #dataOf(type: number): number[] {
    if (this.below(12) === 0) return this.#bytes(this.below(300))
    if (type === 1) return this.#bytes(4)
    if (type === 28) return this.#bytes(16)
    if (type === 5 || type === 12) return this.#name()
    if (type === 6) return [...this.#name(), ...this.#name(), ...this.#bytes(20)]
    return this.#bytes(this.below(40))
  }

  #name(): number[] {
    const sort = this.below(12)
    if (sort < 4) return [0xc0, 12]
    if (sort === 4) return [0xc0 | this.below(64), this.below(256)]
    if (sort === 5) return [...label(this.#bytes(this.below(64))), 0xc0, this.below(64)]
    if (sort === 6) return Array.from({ length: 6 }, () => label(this.#bytes(60))).flat()
    if (sort === 7) return [0x40 | this.below(64), ...this.#bytes(4), 0]
    return this.#labels()
  }

  #labels(): number[] {
    const labels = Array.from({ length: this.below(4) }, () =>
      label(
        this.below(2) === 0
          ? [
              ...new TextEncoder().encode(
                this.#oneOf(['web', 'WEB', 'many', 'blue', '_http', '_tcp', 'in-addr', 'arpa']),
              ),
            ]
          : this.#bytes(1 + this.below(12)),
      ),
    )
    return [...labels.flat(), 0]
  }

  /** As it is, or with some bytes changed, cut, or added. */
  #damaged(bytes: number[]): Uint8Array {
    const damage = this.below(8)
    for (let times = damage === 0 ? 1 + this.below(6) : 0; times > 0; times--) {
      bytes[this.below(bytes.length)] = this.below(256)
    }
    if (damage === 1) return Uint8Array.from(bytes.slice(0, this.below(bytes.length + 1)))
    if (damage === 2) return Uint8Array.from([...bytes, ...this.#bytes(this.below(40))])
    return Uint8Array.from(bytes)
  }

  #usually(number: number): number {
    return this.below(15) === 0 ? this.below(65_536) : number
  }

  #rarely(): number {
    return this.below(15) === 0 ? this.below(4) : 0
  }

  #oneOf<T>(values: readonly [T, ...T[]]): T {
    return values[this.below(values.length)] ?? values[0]
  }

  #bytes(count: number): number[] {
    return Array.from({ length: count }, () => this.below(256))
  }
}

function twoBytes(value: number): number[] {
  return [value >> 8, value & 0xff]
}

function label(bytes: readonly number[]): number[] {
  return [bytes.length, ...bytes]
}
