/**
 * Compares keys by their bytes in UTF-8, which is the order of their code points. JavaScript's own order is that of
 * UTF-16, where characters beyond U+FFFF come before some that are smaller.
 */
export function compareKeys(one: string, other: string): number {
  const end = Math.min(one.length, other.length)
  let at = 0
  while (at < end && one.charCodeAt(at) === other.charCodeAt(at)) at++
  if (at === end) return one.length - other.length
  return rank(one.charCodeAt(at)) - rank(other.charCodeAt(at))
}

/** Moves surrogates, which stand for what is beyond U+FFFF, behind all other units. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}
