import { isNetError } from '@net/types'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bitseq } from './index.ts'

/** What a row of bits is, without any cleverness. */
class NaiveRow {
  readonly bits: boolean[]
  cursor = 0

  constructor(length: number) {
    this.bits = Array.from({ length }, () => false)
  }

  take(first: number, last: number, serial: boolean): number | undefined {
    const free = (from: number): number | undefined => {
      for (let bit = from; bit <= last; bit++) if (this.bits[bit] === false) return bit
      return undefined
    }
    const bit = (serial && this.cursor > first ? free(this.cursor) : undefined) ?? free(first)
    if (bit === undefined) return undefined
    this.bits[bit] = true
    this.cursor = bit + 1
    return bit
  }

  get free(): number {
    return this.bits.filter((bit) => !bit).length
  }
}

type Operation =
  | { readonly kind: 'set' | 'clear' | 'has'; readonly at: number }
  | { readonly kind: 'take'; readonly at: number; readonly to: number; readonly serial: boolean }
  | { readonly kind: 'reload' | 'clone' }

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('set', 'clear', 'has'), at: fc.nat(2 ** 30) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('take' as const),
      at: fc.nat(2 ** 30),
      to: fc.nat(2 ** 30),
      serial: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('reload', 'clone') }) },
)

/** What `work` gives, or the code of its error. */
function outcome<T>(work: () => T): T | string {
  try {
    return work()
  } catch (error) {
    if (isNetError(error)) return error.code
    throw error
  }
}

function both(row: Bitseq, naive: NaiveRow, operation: Operation, length: number): Bitseq {
  switch (operation.kind) {
    case 'has':
      expect(row.has(operation.at % length)).toBe(naive.bits[operation.at % length])
      return row
    case 'set': {
      const at = operation.at % length
      expect(outcome(() => { row.set(at) })).toBe(naive.bits[at] === true ? 'ERR_BIT_ALLOCATED' : undefined) // prettier-ignore
      naive.bits[at] = true
      return row
    }
    case 'clear':
      row.clear(BigInt(operation.at % length))
      naive.bits[operation.at % length] = false
      return row
    case 'take': {
      const first = operation.at % length
      const last = first + (operation.to % (length - first))
      const expected = naive.take(first, last, operation.serial)
      const actual = outcome(() => row.take({ within: { first, last }, serial: operation.serial }))
      expect(actual).toBe(expected === undefined ? 'ERR_NO_BIT_AVAILABLE' : BigInt(expected))
      return row
    }
    case 'reload':
      naive.cursor = 0
      return Bitseq.decode(row.encode())
    case 'clone':
      return row.clone()
  }
}

describe('Bitseq', () => {
  it('does what an array of booleans does', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.array(operation, { maxLength: 300 }), (length, operations) => {
        let row = new Bitseq(length)
        const naive = new NaiveRow(length)
        for (const operation of operations) row = both(row, naive, operation, length)
        expect(row.free).toBe(BigInt(naive.free))
      }),
      { numRuns: 150 },
    )
  })

  it('does so over 100 000 operations, filling up and running empty', () => {
    const length = 9000
    let row = new Bitseq(length)
    const naive = new NaiveRow(length)
    const random = fc.sample(fc.nat(2 ** 30), { numRuns: 200_000, seed: 7 })

    for (let step = 0; step < 100_000; step++) {
      const at = random[step] ?? 0
      const to = random[step + 100_000] ?? 0
      // Fill up for a while, then empty, so that pages become full and mixed and empty again.
      const isFilling = step % 40_000 < 22_000
      const kinds = isFilling ? (['take', 'set', 'set'] as const) : (['clear', 'clear', 'clear', 'has'] as const)
      const kind = step % 5000 === 0 ? 'reload' : (kinds[to % kinds.length] ?? 'has')
      row = both(row, naive, { kind, at, to, serial: to % 2 === 0 }, length)
    }

    expect(row.free).toBe(BigInt(naive.free))
  })

  it('decodes what it encodes, into the same bytes again', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
        fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
        (length, bits) => {
          const row = new Bitseq(length)
          for (const bit of new Set(bits.map((bit) => bit % length))) row.set(bit)
          const decoded = Bitseq.decode(row.encode())

          expect(decoded.encode()).toEqual(row.encode())
          expect(decoded.free).toBe(row.free)
          expect(decoded.count({ first: 0n, last: length - 1n })).toBe(length - row.free)
          for (const bit of bits) expect(decoded.has(bit % length)).toBe(true)
        },
      ),
    )
  })

  it('decodes runs of any length, block by block as they say', () => {
    const run = fc.tuple(fc.constantFrom(0, 0xffffffff, 1, 0xfffffffe, 0x0ff00000), fc.integer({ min: 1, max: 300 }))
    fc.assert(
      fc.property(fc.array(run, { minLength: 1, maxLength: 12 }), (runs) => {
        const blocks = runs.flatMap(([block, count]) => Array.from({ length: count }, () => block))
        const bits = blocks.flatMap((block) => Array.from({ length: 32 }, (_, bit) => (block << bit) < 0)) // prettier-ignore
        const set = bits.filter(Boolean).length
        const view = new DataView(new ArrayBuffer(16 + 12 * runs.length))
        view.setBigUint64(0, BigInt(bits.length))
        view.setBigUint64(8, BigInt(bits.length - set))
        runs.forEach(([block, count], index) => {
          view.setUint32(16 + 12 * index, block)
          view.setUint32(24 + 12 * index, count)
        })

        const row = Bitseq.decode(new Uint8Array(view.buffer))

        expect(bits.findIndex((bit, at) => bit !== row.has(at))).toBe(-1)
        const middle = Math.floor(bits.length / 2)
        expect(row.count({ first: 3, last: middle })).toBe(BigInt(bits.slice(3, middle + 1).filter(Boolean).length))
        expect(Bitseq.decode(row.encode()).encode()).toEqual(row.encode())
      }),
      { numRuns: 100 },
    )
  })

  it('refuses damaged bytes with its own error, or reads a row that encodes again', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 64 }), (bytes) => {
        const result = outcome(() => Bitseq.decode(bytes))
        if (typeof result === 'string') expect(result).toBe('ERR_DAMAGED_BITSEQ')
        else expect(Bitseq.decode(result.encode()).free).toBe(result.free)
      }),
    )
  })
})
