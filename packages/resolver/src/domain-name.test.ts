import { describe, expect, it } from 'vitest'
import { encodeName, foldName, isDomainName, readName, skipName, splitLabels } from './domain-name.ts'

const HEADER = new Array<number>(12).fill(0)

function message(...bytes: readonly (number | string)[]): Uint8Array {
  return Uint8Array.from([
    ...HEADER,
    ...bytes.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part)] : part)),
  ])
}

describe('reading a name', () => {
  it('follows a pointer back, and goes on behind it', () => {
    const bytes = message(3, 'web', 4, 'blue', 0, 2, 'db', 0xc0, 16, 99)

    expect(readName(bytes, 22)).toEqual({ name: 'db.blue', next: 27 })
    expect(skipName(bytes, 22)).toBe(27)
  })

  it('takes the root', () => {
    expect(readName(message(0), 12)).toEqual({ name: '', next: 13 })
  })

  it('keeps apart a dot in a label and one between labels', () => {
    const bytes = message(7, 'web.net', 0)

    expect(readName(bytes, 12).name).toBe('web\\.net')
    expect(splitLabels('web\\.net.blue')).toEqual(['web\\.net', 'blue'])
    expect([...encodeName('web\\.net')]).toEqual([...bytes.subarray(12)])
  })

  it('writes what is no plain character as a number', () => {
    expect(readName(message(4, 'a', 0, 0x20, 0xff, 0), 12).name).toBe('a\\000\\032\\255')
  })

  it.each([
    ['is cut short', message(3, 'we')],
    ['lacks its end', message(3, 'web')],
    ['points to itself', message(0xc0, 12)],
    ['points ahead', message(0xc0, 14, 1, 'a', 0)],
    ['points into the header', message(0xc0, 4)],
    ['points to nothing', message(0xc0)],
    ['points back to its own beginning', message(1, 'a', 0xc0, 12)],
    ['has a label of a type that nobody uses', message(0x41, 'a', 0)],
  ])('refuses one that %s', (_what, bytes) => {
    expect(() => readName(bytes, 12)).toThrow('malformed DNS message')
  })

  it('refuses one that runs on into what leads to it', () => {
    expect(() => readName(message(3, 'ab', 0xc0, 12, 0), 15)).toThrow('label cut short')
  })

  it('refuses 256 bytes, and takes 255', () => {
    const label = 'a'.repeat(61)
    const longest = message(61, label, 61, label, 61, label, 61, label, 5, 'aaaaa', 0)
    const longer = message(61, label, 61, label, 61, label, 61, label, 6, 'aaaaaa', 0)

    expect(readName(longest, 12).name).toHaveLength(253)
    expect(() => readName(longer, 12)).toThrow('name of more than 255 bytes at byte 12')
  })

  it.each([
    ['with labels between them', [1, 0x61], 'name of more than 255 bytes'],
    ['without', [], 'chain of pointers'],
  ])('does not follow a long chain of pointers %s', (_what, between, refusal) => {
    const hopBytes = between.length + 2
    const hops = Array.from({ length: 199 }, (_, at) => {
      const target = at === 0 ? 12 : 14 + hopBytes * (at - 1)
      return [...between, 0xc0 | (target >> 8), target & 0xff]
    })
    const bytes = message(1, 'a', ...hops.flat())
    // The first hop leads to a name that ends.
    const ended = Uint8Array.from([...HEADER, 0, 0, ...bytes.subarray(14)])

    expect(() => readName(ended, 14 + hopBytes * 198)).toThrow(refusal)
  })
})

describe('writing a name', () => {
  it.each([
    ['a label of 64 bytes', 'a'.repeat(64)],
    ['an empty label', 'a..b'],
    ['more than 255 bytes', 'abcdefg.'.repeat(32)],
    ['one byte more than 255', [63, 63, 63, 62].map((length) => 'a'.repeat(length)).join('.')],
    ['a character beyond ASCII', 'bücher'],
    ['a blank', 'a b'],
    ['a number above 255', 'a\\256'],
    ['a backslash at its end', 'a\\'],
  ])('refuses %s', (_what, name) => {
    expect(() => encodeName(name)).toThrow('invalid domain name')
    expect(isDomainName(name)).toBe(false)
  })

  it('takes underscores and a dot at the end', () => {
    expect([...encodeName('web_1.')]).toEqual([5, ...Buffer.from('web_1'), 0])
    expect(isDomainName('')).toBe(false)
  })

  it('takes one of 255 bytes', () => {
    const name = [63, 63, 63, 61].map((length) => 'a'.repeat(length)).join('.')

    expect(encodeName(name)).toHaveLength(255)
    expect(isDomainName(name)).toBe(true)
  })
})

it('compares names without capitals and without the last dot', () => {
  expect(foldName('Web.BLUE.')).toBe('web.blue')
  expect(foldName('K\u212A')).toBe('k\u212A')
})
