import { Bitseq } from '@net/bitseq'

// A row of 2^64 - 1 bits takes no more memory than what is set in it.
const ids = new Bitseq(2n ** 64n - 1n)

console.log(ids.take(), ids.take(), ids.take()) // 0n 1n 2n
ids.clear(1n)
console.log(ids.take()) // 1n: the lowest clear bit
console.log(ids.take({ within: { first: 4096, last: 8191 } })) // 4096n

// In a circle: what was cleared rests until it has come round.
ids.clear(0n)
console.log(ids.take({ serial: true })) // 4097n

// A set bit is not set again.
try {
  ids.set(2n)
} catch (error) {
  console.log(error.code) // ERR_BIT_ALLOCATED
}

// libnetwork's binary form, readable both ways.
const copy = Bitseq.decode(ids.encode())
console.log(copy.has(4096n), copy.free === ids.free) // true true
