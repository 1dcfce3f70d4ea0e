import { describe, expect, it } from 'vitest'
import { Bitseq } from './index.ts'

type Run = readonly [block: number, count: bigint]

/** The binary form, spelled out. */
function bytesOf(length: bigint, free: bigint, runs: readonly Run[]): Uint8Array {
  const bytes = new Uint8Array(16 + 12 * runs.length)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, length)
  view.setBigUint64(8, free)
  runs.forEach(([block, count], index) => {
    view.setUint32(16 + 12 * index, block)
    view.setBigUint64(20 + 12 * index, count)
  })
  return bytes
}

const base64 = (row: Bitseq): string => Buffer.from(row.encode()).toString('base64')
const FULL = 0xffffffff

function helloLibnetwork(): Bitseq {
  const row = new Bitseq(128)
  Array.from('hello libnetwork').forEach((letter, index) => {
    for (let bit = 0; bit < 8; bit++) if (((letter.charCodeAt(0) >> bit) & 1) === 1) row.set(index * 8 + bit)
  })
  return row
}

describe('encode', () => {
  it('writes an empty row as one run', () => {
    expect(base64(new Bitseq(32))).toBe('AAAAAAAAACAAAAAAAAAAIAAAAAAAAAAAAAAAAQ==')
  })

  it('writes the first bit as the most significant one', () => {
    const row = new Bitseq(256)
    for (const bit of [0, 1, 2]) row.set(bit)

    expect(row.encode()).toEqual(bytesOf(256n, 253n, [[0xe0000000, 1n], [0, 7n]])) // prettier-ignore
    expect(base64(row)).toBe('AAAAAAAAAQAAAAAAAAAA/eAAAAAAAAAAAAAAAQAAAAAAAAAAAAAABw==')
  })

  // libnetwork (moby): bitmap.TestCompat
  it('writes what libnetwork writes', () => {
    expect(base64(helloLibnetwork())).toBe(
      'AAAAAAAAAIAAAAAAAAAAPRamNjYAAAAAAAAAAfYENpYAAAAAAAAAAUZ2pi4AAAAAAAAAAe72TtYAAAAAAAAAAQ==',
    )
  })

  it('writes a row of no bits as a run of no blocks', () => {
    expect(new Bitseq(0).encode()).toEqual(bytesOf(0n, 0n, [[0, 0n]]))
  })

  // libnetwork: bitseq.TestRetrieveFromStore, TestMethods
  it('folds equal blocks into one run', () => {
    const row = new Bitseq(8192)
    for (let taken = 0; taken < 192; taken++) row.take()

    expect(row.encode()).toEqual(bytesOf(8192n, 8000n, [[FULL, 6n], [0, 250n]])) // prettier-ignore
  })

  // libnetwork: bitseq.TestRandomSetUnset
  it('writes one run whichever way the row was filled and emptied', () => {
    const row = new Bitseq(512)
    const order = Array.from({ length: 512 }, (_, index) => (index * 181) % 512)

    for (const bit of order) row.set(bit)
    expect(row.encode()).toEqual(bytesOf(512n, 0n, [[FULL, 16n]]))
    for (const bit of order.reverse()) row.clear(bit)
    expect(row.encode()).toEqual(bytesOf(512n, 512n, [[0, 16n]]))
  })

  // libnetwork: bitseq.TestAllocateRandomDeallocate
  it('fills the gaps first', () => {
    const row = new Bitseq(256)
    for (let taken = 0; taken < 128; taken++) row.take()
    for (let bit = 0; bit < 128; bit += 2) row.clear(bit)
    for (let taken = 0; taken < 64; taken++) row.take()

    expect(row.encode()).toEqual(bytesOf(256n, 128n, [[FULL, 4n], [0, 4n]])) // prettier-ignore
  })

  it('writes the last bit of the longest row that it can', () => {
    const row = new Bitseq(2n ** 64n - 1n)
    row.set(2n ** 64n - 2n)

    expect(row.encode()).toEqual(bytesOf(2n ** 64n - 1n, 2n ** 64n - 2n, [[0, 2n ** 59n - 1n], [2, 1n]])) // prettier-ignore
  })

  it('refuses a row whose length does not fit', () => {
    expect(() => new Bitseq(2n ** 64n).encode()).toThrow(expect.objectContaining({ code: 'ERR_INVALID_LENGTH' }))
  })
})

describe('decode', () => {
  it('reads what libnetwork wrote', () => {
    const row = Bitseq.decode(helloLibnetwork().encode())

    expect(row.encode()).toEqual(helloLibnetwork().encode())
    expect([row.length, row.free, row.has(3), row.has(4)]).toEqual([128n, 61n, true, false])
  })

  it('reads bytes that lie inside a larger buffer', () => {
    const outer = Buffer.concat([Buffer.alloc(5), helloLibnetwork().encode(), Buffer.alloc(3)])

    expect(Bitseq.decode(outer.subarray(5, outer.length - 3)).free).toBe(61n)
  })

  it('reads runs that reach over all levels', () => {
    const length = 2n ** 64n - 1n
    const bytes = bytesOf(length, 3n, [
      [FULL, 70n],
      [0x7fffffff, 1n],
      [FULL, 2n ** 58n],
      [0xfffffffe, 1n],
      [FULL, 2n ** 58n - 73n],
      [0xfffffffc, 1n],
    ])
    const row = Bitseq.decode(bytes)

    expect(row.encode()).toEqual(bytes)
    expect(row.count({ first: 0, last: length - 1n })).toBe(length - 3n)
    expect([row.take(), row.take(), row.take()]).toEqual([70n * 32n, (71n + 2n ** 58n) * 32n + 31n, length - 1n])
    expect(() => row.take()).toThrow(expect.objectContaining({ code: 'ERR_NO_BIT_AVAILABLE' }))
    row.clear(12345678901234567890n)
    expect(row.take()).toBe(12345678901234567890n)
  })

  it('folds runs that could have been one', () => {
    const row = Bitseq.decode(bytesOf(192n, 96n, [[FULL, 1n], [FULL, 2n], [0, 1n], [0, 2n]])) // prettier-ignore

    expect(row.encode()).toEqual(bytesOf(192n, 96n, [[FULL, 3n], [0, 3n]])) // prettier-ignore
  })

  // libnetwork: bitseq.TestIsCorrupted
  it.each<[string, readonly Run[]]>([
    [
      'between runs',
      [
        [FULL, 2n],
        [0, 0n],
        [0, 4n],
      ],
    ],
    [
      'at the end',
      [
        [FULL, 2n],
        [0, 4n],
        [0xff000000, 0n],
      ],
    ],
    [
      'at the beginning',
      [
        [0, 0n],
        [FULL, 2n],
        [0, 4n],
      ],
    ],
  ])('passes over runs of no blocks %s', (_where, runs) => {
    // prettier-ignore
    expect(Bitseq.decode(bytesOf(192n, 128n, runs)).encode()).toEqual(bytesOf(192n, 128n, [[FULL, 2n], [0, 4n]])) // prettier-ignore
  })

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['a header cut short', new Uint8Array(15)],
    ['no run', bytesOf(0n, 0n, [])],
    ['a run cut short', bytesOf(32n, 32n, [[0, 1n]]).subarray(0, 27)],
    ['a byte too many', Buffer.concat([bytesOf(32n, 32n, [[0, 1n]]), Buffer.alloc(1)])],
    ['fewer blocks than its length', bytesOf(96n, 96n, [[0, 2n]])],
    ['more blocks than its length', bytesOf(96n, 96n, [[0, 4n]])],
    ['more blocks than its length in two runs', bytesOf(96n, 95n, [[1, 1n], [0, 3n]])], // prettier-ignore
    ['more blocks than there are', bytesOf(96n, 96n, [[0, 2n ** 64n - 1n]])],
    ['a block too many after the longest row', bytesOf(2n ** 64n - 1n, 2n ** 64n - 1n, [[0, 2n ** 59n + 1n]])],
    ['a page too many after the longest row', bytesOf(2n ** 64n - 1n, 2n ** 64n - 1n, [[0, 2n ** 59n], [0, 64n]])], // prettier-ignore
    ['a free count too high', bytesOf(96n, 96n, [[1, 1n], [0, 2n]])], // prettier-ignore
    ['a free count too low', bytesOf(96n, 94n, [[1, 1n], [0, 2n]])], // prettier-ignore
    ['a bit after the last one', bytesOf(30n, 29n, [[1, 1n]])],
    ['full blocks after the last bit', bytesOf(33n, 0n, [[FULL, 2n]])],
    ['scattered bits without end', bytesOf(2n ** 63n, 2n ** 62n, [[0x55555555, 2n ** 58n]])],
  ])('refuses %s', (_what, bytes) => {
    expect(() => Bitseq.decode(bytes)).toThrow(expect.objectContaining({ code: 'ERR_DAMAGED_BITSEQ' }))
  })
})

describe('the JSON form', () => {
  const golden = 'AAAAAAAAAIAAAAAAAAAAPRamNjYAAAAAAAAAAfYENpYAAAAAAAAAAUZ2pi4AAAAAAAAAAe72TtYAAAAAAAAAAQ=='

  it('is the base64 of the binary one, as newer versions of libnetwork write it', () => {
    expect(JSON.stringify({ row: helloLibnetwork() })).toBe(`{"row":"${golden}"}`)
    expect(Bitseq.fromJSON(golden).encode()).toEqual(helloLibnetwork().encode())
  })

  it('is read as older versions wrote it, too', () => {
    const old = JSON.stringify({ id: 'LocalDefault/172.17.0.0/16', sequence: helloLibnetwork().toJSON() })

    expect(Bitseq.fromJSON(JSON.parse(old)).encode()).toEqual(helloLibnetwork().encode())
  })

  it('holds rows of many runs', () => {
    const row = new Bitseq(2 ** 21)
    for (let ordinal = 0; ordinal < 2 ** 21; ordinal += 37) row.set(ordinal)

    expect(row.toJSON()).toBe(base64(row))
    expect(Bitseq.fromJSON(row.toJSON()).encode()).toEqual(row.encode())
  })

  it.each([undefined, null, 7, {}, { sequence: 7 }, 'no base64!', '', 'AAAA', []])('is refused: %j', (json) => {
    expect(() => Bitseq.fromJSON(json)).toThrow(expect.objectContaining({ code: 'ERR_DAMAGED_BITSEQ' }))
  })
})
