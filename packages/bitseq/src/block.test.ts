import { describe, expect, it } from 'vitest'
import { blockMask, countBits } from './block.ts'

describe('blockMask', () => {
  it.each([
    [0, 32, 0xffffffff],
    [0, 1, 0x80000000],
    [31, 32, 1],
    [4, 8, 0x0f000000],
    [8, 100, 0x00ffffff],
  ])('of bits %i to %i', (from, end, expected) => {
    expect(blockMask(from, end)).toBe(expected)
  })
})

describe('countBits', () => {
  it.each([
    [0, 0],
    [0x80000001, 2],
    [0xffffffff, 32],
    [0x55555555, 16],
  ])('of %i is %i', (block, expected) => {
    expect(countBits(block)).toBe(expected)
  })
})
