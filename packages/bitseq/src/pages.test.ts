import { describe, expect, it } from 'vitest'
import { PAGE_BLOCKS, Pages } from './pages.ts'

/** Where the first clear bit of a page that begins with `blocks` is, the other blocks being full. */
function firstClear(blocks: readonly number[], from: number): number | undefined {
  const pages = new Pages(0)
  const page = new Uint32Array(PAGE_BLOCKS).fill(0xffffffff)
  page.set(blocks)
  return pages.firstClear(pages.addBlocks(page), from)
}

describe('Pages', () => {
  // libnetwork: bitseq.TestSequenceGetAvailableBit
  it.each([
    [0x00000000, 0, 0],
    [0x80000000, 0, 1],
    [0xff000000, 0, 8],
    [0xff800000, 0, 9],
    [0xffc0ff00, 0, 10],
    [0xffe0ff00, 0, 11],
    [0xfffeff00, 0, 15],
    [0xffffc0ff, 0, 18],
    [0xffffff00, 0, 24],
    [0xfffffffe, 0, 31],
    [0xffffffff, 0, undefined],
    [0x00000000, 1, 1],
    [0x00000000, 31, 31],
    [0x00000000, 32, undefined],
    [0xf0ff0000, 0, 4],
    [0xf0ff0000, 8, 16],
  ])('find the first clear bit of block %i from bit %i on: %s', (block, from, expected) => {
    expect(firstClear([block], from)).toBe(expected)
  })

  // libnetwork: bitseq.TestGetFirstAvailable, bytes and bits there made one number
  it.each([
    [[0xffffffff, 0x0e000000], 16, 32],
    [[0xfffcffff, 0, 0], 16, 32],
    [[0xfffcffff, 0, 0], 15, 15],
    [[0xfffcffff, 0, 0], 10, 14],
    [[0xfffcfffe, 0, 0], 31, 31],
    [[0xfffcffff], 31, undefined],
  ])('find the first clear bit of blocks %j from bit %i on: %s', (blocks, from, expected) => {
    expect(firstClear(blocks, from)).toBe(expected)
  })

  it('give the place of a removed page to the next one, empty', () => {
    const pages = new Pages(0)
    const place = pages.add(true)
    pages.remove(place)

    expect(pages.add(false)).toBe(place)
    expect(pages.countOf(place)).toBe(0)
    expect(pages.has(place, 5)).toBe(false)
  })

  it('count the bits they fill once', () => {
    const pages = new Pages(0)
    const place = pages.add(false)

    expect(pages.fill(place, 30, 70)).toBe(40)
    expect(pages.fill(place, 60, 80)).toBe(50)
    expect(pages.countBetween(place, 31, 79)).toBe(48)
  })
})
