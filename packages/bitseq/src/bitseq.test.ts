import { describe, expect, it } from 'vitest'
import { Bitseq } from './index.ts'

const code = (name: string): object => expect.objectContaining({ code: name }) as object

/** Takes `count` bits. */
function taken(row: Bitseq, count: number, serial = false): bigint[] {
  return Array.from({ length: count }, () => row.take({ serial }))
}

describe('Bitseq', () => {
  it('starts with every bit clear', () => {
    const row = new Bitseq(100)

    expect(row.length).toBe(100n)
    expect(row.free).toBe(100n)
    expect(row.has(0)).toBe(false)
  })

  it.each([-1, 1.5, Number.NaN, 2 ** 53, 2n ** 64n + 1n, -1n])('refuses a length of %s', (length) => {
    expect(() => new Bitseq(length)).toThrow(code('ERR_INVALID_LENGTH'))
  })

  it('takes ordinals as bigint and as number', () => {
    const row = new Bitseq(100)
    row.set(7)
    row.set(8n)

    expect([row.has(7n), row.has(8), row.has(9)]).toEqual([true, true, false])
  })

  it('sets and clears a bit, counting those that are free', () => {
    const row = new Bitseq(100)

    row.set(50)
    expect([row.has(50), row.free]).toEqual([true, 99n])
    row.clear(50)
    expect([row.has(50), row.free]).toEqual([false, 100n])
  })

  it('refuses to set a bit twice', () => {
    const row = new Bitseq(100)
    row.set(50)

    expect(() => {
      row.set(50)
    }).toThrow(code('ERR_BIT_ALLOCATED'))
    expect(row.free).toBe(99n)
  })

  it('changes nothing by clearing a clear bit', () => {
    const row = new Bitseq(100)
    row.clear(50)

    expect(row.free).toBe(100n)
  })

  // libnetwork: bitseq.TestSetUnset, bitseq.TestOffsetSetUnset
  it.each([1024, 1024n, -1, 0.5, Number.NaN, 2 ** 60, -1n])('has no bit %s in a row of 1024', (ordinal) => {
    const row = new Bitseq(1024)

    expect(row.has(ordinal)).toBe(false)
    for (const change of [row.set.bind(row), row.clear.bind(row)]) {
      expect(() => {
        change(ordinal)
      }).toThrow(code('ERR_ORDINAL_OUT_OF_RANGE'))
    }
  })

  it('has nothing to give when it has no bits', () => {
    expect(() => new Bitseq(0).take()).toThrow(code('ERR_NO_BIT_AVAILABLE'))
  })

  it.each([2n ** 64n, 2n ** 64n - 1n, 2n ** 53n + 1n])('reaches the last of %s bits', (length) => {
    const row = new Bitseq(length)
    row.set(length - 1n)

    expect(row.has(length - 1n)).toBe(true)
    expect(row.has(length - 2n)).toBe(false)
    expect(row.free).toBe(length - 1n)
    expect(row.take({ within: { first: length - 2n, last: length - 1n } })).toBe(length - 2n)
    expect(() => row.take({ within: { first: length - 2n, last: length - 1n } })).toThrow(code('ERR_NO_BIT_AVAILABLE'))
  })
})

describe('take', () => {
  it('gives the lowest clear bit', () => {
    const row = new Bitseq(100)
    taken(row, 10)
    row.clear(3)

    expect(taken(row, 2)).toEqual([3n, 10n])
  })

  it('gives every bit once, and then says that there is none', () => {
    const row = new Bitseq(5000)

    expect(taken(row, 5000)).toEqual(Array.from({ length: 5000 }, (_, bit) => BigInt(bit)))
    expect(row.free).toBe(0n)
    expect(() => row.take()).toThrow(code('ERR_NO_BIT_AVAILABLE'))
    expect(() => row.take({ within: { first: 10, last: 20 } })).toThrow(code('ERR_NO_BIT_AVAILABLE'))
  })

  // libnetwork: bitseq.TestSetInRange
  it('gives the one bit of a range that was cleared', () => {
    const row = new Bitseq(1024)
    taken(row, 1024)
    row.clear(288)

    expect(row.take({ within: { first: 32, last: 500 } })).toBe(288n)
  })

  // libnetwork: bitseq.TestSetInRange
  it('stays within a range of bits, padding of the last block left out', () => {
    const row = new Bitseq(30)

    for (let bit = 0n; bit < 8n; bit++) expect(row.take({ within: { first: 0, last: 7 } })).toBe(bit)
    expect(() => row.take({ within: { first: 0, last: 7 } })).toThrow(code('ERR_NO_BIT_AVAILABLE'))
    expect(row.take({ within: { first: 28n, last: 29n } })).toBe(28n)
    expect(row.take({ within: { first: 28n, last: 29n } })).toBe(29n)
    expect(() => row.take({ within: { first: 28, last: 29 } })).toThrow(code('ERR_NO_BIT_AVAILABLE'))
  })

  // libnetwork: bitseq.TestSetAnyInRange, regression for a run that is split at its end
  it('goes on after the last block of a run', () => {
    const row = new Bitseq(256)
    row.set(0)
    row.set(255)

    expect(row.take({ within: { first: 128, last: 255 } })).toBe(128n)
    expect(row.take({ within: { first: 128, last: 255 } })).toBe(129n)
    expect(row.take({ within: { first: 246, last: 255 } })).toBe(246n)
    expect(row.take({ within: { first: 246, last: 255 } })).toBe(247n)
  })

  it.each([
    [4, 3],
    [0, 30],
    [30, 30],
    [-1, 3],
    [0.5, 3],
    [0n, 1n << 64n],
  ])('refuses the range %s to %s of 30 bits, full or not', (first, last) => {
    const row = new Bitseq(30)
    expect(() => row.take({ within: { first, last } })).toThrow(code('ERR_INVALID_RANGE'))
    taken(row, 30)
    expect(() => row.take({ within: { first, last } })).toThrow(code('ERR_INVALID_RANGE'))
  })

  it('tells what it did not find', () => {
    const row = new Bitseq(30)
    taken(row, 30)

    expect(() => row.take({ within: { first: 3, last: 9 } })).toThrow('no bit available between 3 and 9')
  })
})

describe('take with serial', () => {
  it('lets a cleared bit rest until it has come round', () => {
    const row = new Bitseq(4)
    taken(row, 2, true)
    row.clear(0)

    expect(taken(row, 3, true)).toEqual([2n, 3n, 0n])
  })

  it('goes on after a bit taken without serial', () => {
    const row = new Bitseq(10)
    taken(row, 3)
    row.clear(0)

    expect(row.take({ serial: true })).toBe(3n)
  })

  it('is not moved by set', () => {
    const row = new Bitseq(100)
    row.take()
    row.set(50)

    expect(row.take({ serial: true })).toBe(1n)
  })

  it('starts at the beginning of a range that lies after the place to go on from', () => {
    const row = new Bitseq(100)
    row.take()

    expect(row.take({ within: { first: 40, last: 60 }, serial: true })).toBe(40n)
    expect(row.take({ within: { first: 0, last: 60 }, serial: true })).toBe(41n)
  })

  it('starts over when there is nothing in the range after the place to go on from', () => {
    const row = new Bitseq(100)
    row.take({ within: { first: 80, last: 80 } })

    expect(row.take({ within: { first: 10, last: 20 }, serial: true })).toBe(10n)
  })

  // libnetwork: bitseq.TestSetRollover
  it.each([false, true])('finds what was cleared at the beginning after reaching the end (serial: %s)', (serial) => {
    const row = new Bitseq(256)
    taken(row, 128, serial)
    for (let bit = 0; bit < 128; bit += 2) row.clear(bit)
    taken(row, 128, serial)
    expect(row.free).toBe(64n)

    taken(row, 64, serial)
    expect(row.free).toBe(0n)
    expect(() => row.take({ serial })).toThrow(code('ERR_NO_BIT_AVAILABLE'))
  })

  it('goes on from the beginning in a decoded row, and from the same place in a clone', () => {
    const row = new Bitseq(100)
    taken(row, 10)
    row.clear(4)

    expect(Bitseq.decode(row.encode()).take({ serial: true })).toBe(4n)
    expect(row.clone().take({ serial: true })).toBe(10n)
  })
})

describe('count', () => {
  // libnetwork (moby): bitmap.TestOnesCount
  it.each([
    [0, 0, 0n],
    [0, 1, 1n],
    [1, 1, 1n],
    [3, 12, 10n],
    [31, 65, 33n],
    [5, 93, 87n],
    [96, 100, 2n],
    [96, 159, 4n],
    [192, 255, 1n],
    [256, 256, 1n],
  ])('says how many bits from %i to %i are set', (first, last, expected) => {
    const row = new Bitseq(257)
    const runs: [number, number][] = [[1, 31], [33, 63], [65, 95], [99, 102], [160, 192], [256, 256]] // prettier-ignore
    for (const [from, to] of runs) for (let bit = from; bit <= to; bit++) row.set(bit)

    expect(row.count({ first, last })).toBe(expected)
    expect(row.count({ first: 0, last: 256 })).toBe(row.length - row.free)
  })

  it('refuses a range that ends before it begins', () => {
    expect(() => new Bitseq(10).count({ first: 3, last: 2 })).toThrow(code('ERR_INVALID_RANGE'))
  })
})

describe('clone', () => {
  it('changes on its own', () => {
    const row = new Bitseq(10_000)
    taken(row, 5000)
    const copy = row.clone()
    copy.clear(7)
    row.set(9999)

    expect([row.has(7), copy.has(7)]).toEqual([true, false])
    expect([row.has(9999), copy.has(9999)]).toEqual([true, false])
    expect([row.free, copy.free]).toEqual([4999n, 5001n])
  })
})
