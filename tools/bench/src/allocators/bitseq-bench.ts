import { Bitseq } from '@net/bitseq'
import { collectGarbage, median, type Measurement } from '../measure.ts'

const OPERATIONS = 5_000
const ROUNDS = 5
const SPARSE = 1_000_000
/** Bits left clear in a row that is all but full. */
const LEFT_FREE = 10_000

/** libnetwork's own figures for the rows that it can work with, in µs, measured on this kind of machine. */
const ORIGINAL: Readonly<Record<string, number>> = {
  'bitseq-2^24-half-set': 90_000,
  'bitseq-2^24-half-clear': 90_000,
  'bitseq-2^24-half-take': 138_000,
  'bitseq-2^24-half-has': 480,
  'bitseq-2^16-half-set': 140,
  'bitseq-2^16-half-clear': 140,
  'bitseq-2^16-half-take': 250,
  'bitseq-2^16-half-has': 1.5,
}

/** Fills of a row, by name. */
const fills = {
  empty: (length: bigint) => new Bitseq(length),
  half: (length: bigint) => fromRuns(length, randomBlocks(Number(length / 32n))),
  sparse: (length: bigint) => withRandomBits(new Bitseq(length), SPARSE),
  runs: (length: bigint) => fromRuns(length, longRuns(length)),
  'almost-full': (length: bigint) => withRandomGaps(fromRuns(length, [[0xffff_ffff, length / 32n]])),
} as const

const rows: readonly (readonly [exponent: number, fills: readonly (keyof typeof fills)[]])[] = [
  [16, ['empty', 'half', 'almost-full']],
  [24, ['empty', 'half', 'almost-full']],
  [32, ['empty', 'sparse', 'runs', 'almost-full']],
  [64, ['empty', 'sparse', 'runs', 'almost-full']],
]

/** One operation on rows of every length and fill, and the binary form and the memory of the largest of libnetwork's. */
export function measureBitseq(): Promise<Measurement[]> {
  const operations = rows.flatMap(([exponent, names]) => names.flatMap((fill) => measureRow(exponent, fill)))
  return Promise.resolve([...operations, ...measureCodec()])
}

function measureRow(exponent: number, fill: keyof typeof fills): Measurement[] {
  const row = makeRow(exponent, fill)
  const free = drawFree(row, OPERATIONS)
  const each = (name: string, work: (ordinal: bigint) => unknown, restore?: (ordinal: bigint) => void): Measurement => {
    const rounds = Array.from({ length: ROUNDS }, () => {
      collectGarbage()
      const start = performance.now()
      for (const ordinal of free) work(ordinal)
      const passed = performance.now() - start
      if (restore !== undefined) for (const ordinal of free) restore(ordinal)
      return (passed * 1000) / free.length
    })
    const full = `bitseq-2^${exponent}-${fill}-${name}`
    const original = ORIGINAL[full]
    return {
      name: full,
      unit: 'us',
      ours: median(rounds),
      ...(original === undefined ? {} : { peers: { 'libnetwork (recorded)': original } }),
    }
  }
  const measurements = [
    each('has', (ordinal) => row.has(ordinal)),
    each('set', (ordinal) => { row.set(ordinal) }, (ordinal) => { row.clear(ordinal) }), // prettier-ignore
  ]
  for (const ordinal of free) row.set(ordinal)
  measurements.push(
    each('clear', (ordinal) => { row.clear(ordinal) }, (ordinal) => { row.set(ordinal) }), // prettier-ignore
  )
  for (const ordinal of free) row.clear(ordinal)
  const taken: bigint[] = []
  measurements.push(
    each('take', () => taken.push(row.take()), () => { while (taken.length > 0) row.clear(taken.pop() ?? 0n) }), // prettier-ignore
  )
  return measurements
}

/** Encode, decode and memory of a half-full row of 2^24. */
function measureCodec(): Measurement[] {
  const row = makeRow(24, 'half')
  const bytes = row.encode()
  collectGarbage()
  const before = memoryInUse()
  const copy = Bitseq.decode(bytes)
  collectGarbage()
  const memory = memoryInUse() - before
  const repeat = (work: () => unknown): number =>
    median(
      Array.from({ length: ROUNDS }, () => {
        collectGarbage()
        const start = performance.now()
        work()
        return performance.now() - start
      }),
    )
  return [
    { name: 'bitseq-encode', unit: 'ms', ours: repeat(() => copy.encode()) },
    { name: 'bitseq-decode', unit: 'ms', ours: repeat(() => Bitseq.decode(bytes)) },
    { name: 'bitseq-memory', unit: 'MB', ours: memory / 1e6 },
  ]
}

function memoryInUse(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** libnetwork's binary form has no room for the length 2^64. */
function makeRow(exponent: number, fill: keyof typeof fills): Bitseq {
  return fills[fill](exponent === 64 && fill !== 'empty' ? 2n ** 64n - 32n : 2n ** BigInt(exponent))
}

/** Clear bits at random places. */
function drawFree(row: Bitseq, count: number): bigint[] {
  const drawn = new Set<bigint>()
  const most = row.free < BigInt(2 * count) ? Number(row.free / 2n) : count
  while (drawn.size < most) {
    const from = randomBelow(row.length)
    const found = row.has(from) ? firstFreeAfter(row, from) : from
    if (found !== undefined) drawn.add(found)
  }
  return [...drawn]
}

function firstFreeAfter(row: Bitseq, from: bigint): bigint | undefined {
  try {
    const found = row.take({ within: { first: from, last: row.length - 1n } })
    row.clear(found)
    return found
  } catch {
    return undefined // nothing is free up there: draw again
  }
}

type Run = readonly [block: number, count: bigint]

function randomBlocks(count: number): Run[] {
  return Array.from({ length: count }, () => [(Math.random() * 2 ** 32) >>> 0, 1n])
}

/** A thousand stretches, taken and free in turn. */
function longRuns(length: bigint): Run[] {
  const blocks = length / 32n
  const stretch = blocks / 1000n
  const runs = Array.from({ length: 1000 }, (_, at): Run => [at % 2 === 0 ? 0xffff_ffff : 0, stretch])
  return [...runs, [0, blocks - 1000n * stretch]]
}

/** A row out of libnetwork's binary form: length, free count, runs of equal blocks. */
function fromRuns(length: bigint, runs: readonly Run[]): Bitseq {
  const bytes = new Uint8Array(16 + 12 * runs.length)
  const view = new DataView(bytes.buffer)
  let taken = 0n
  for (const [at, [block, count]] of runs.entries()) {
    view.setUint32(16 + 12 * at, block)
    view.setBigUint64(20 + 12 * at, count)
    taken += BigInt(onesOf(block)) * count
  }
  view.setBigUint64(0, length)
  view.setBigUint64(8, length - taken)
  return Bitseq.decode(bytes)
}

function onesOf(block: number): number {
  let ones = 0
  for (let rest = block; rest !== 0; rest = (rest & (rest - 1)) >>> 0) ones++
  return ones
}

function withRandomBits(row: Bitseq, count: number): Bitseq {
  for (let set = 0; set < count;) {
    const ordinal = randomBelow(row.length)
    if (row.has(ordinal)) continue
    row.set(ordinal)
    set++
  }
  return row
}

function withRandomGaps(row: Bitseq): Bitseq {
  for (let at = 0; at < LEFT_FREE; at++) row.clear(randomBelow(row.length))
  return row
}

function randomBelow(length: bigint): bigint {
  const random = (BigInt((Math.random() * 2 ** 32) >>> 0) << 32n) | BigInt((Math.random() * 2 ** 32) >>> 0)
  return (random * length) >> 64n
}
