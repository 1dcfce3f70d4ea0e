/**
 * A long row of bits: find, set and clear bits among 2^64 without holding them all.
 *
 * @packageDocumentation
 */

export {}
