/** Bits of a block. Bit 0 is the most significant one, as in libnetwork. */
export const BLOCK_BITS = 32

/** A block with every bit set. */
export const FULL_BLOCK = 0xffffffff

/** The bits `from` up to, but not including, `end` of a block. */
export function blockMask(from: number, end: number): number {
  const tail = end >= BLOCK_BITS ? 0 : FULL_BLOCK >>> end
  return ((FULL_BLOCK >>> from) & ~tail) >>> 0
}

/** How many bits of `block` are set. */
export function countBits(block: number): number {
  let pairs = block - ((block >>> 1) & 0x55555555)
  pairs = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((pairs + (pairs >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
