import type { CheckedOpenPort } from './fact.ts'

/** What a change of ranges comes down to: which to remove from the kernel and which to add. */
export interface OpenRangesChange {
  readonly removed: readonly CheckedOpenPort[]
  readonly added: readonly CheckedOpenPort[]
  /** What is stated from then on, at the addresses concerned. */
  readonly stated: ReadonlyMap<string, readonly CheckedOpenPort[]>
}

/**
 * Ranges of open ports. They may be stated more than once and may overlap, as ranges of a container's ports that are
 * published twice do. The kernel takes no ranges that overlap, so it has what they cover, in pieces.
 */
export class OpenRanges {
  /** By family, protocol and address; one that is stated twice is there twice. */
  readonly #stated = new Map<string, readonly CheckedOpenPort[]>()

  /** What becomes of the kernel's ranges when some are stated once less and then others once more. Changes nothing. */
  change(remove: readonly CheckedOpenPort[], add: readonly CheckedOpenPort[]): OpenRangesChange {
    const stated = new Map<string, CheckedOpenPort[]>()
    const statedAt = (place: string): CheckedOpenPort[] => {
      const ranges = stated.get(place) ?? [...(this.#stated.get(place) ?? [])]
      stated.set(place, ranges)
      return ranges
    }
    for (const range of remove) {
      const ranges = statedAt(placeOf(range))
      const at = ranges.findIndex((other) => isSame(other, range))
      if (at >= 0) ranges.splice(at, 1)
    }
    for (const range of add) statedAt(placeOf(range)).push(range)

    const places = Array.from(stated, ([place, after]) => ({
      before: coverOf(this.#stated.get(place) ?? []),
      after: coverOf(after),
    }))
    return {
      removed: places.flatMap(({ before, after }) => without(before, after)),
      added: places.flatMap(({ before, after }) => without(after, before)),
      stated,
    }
  }

  /** Makes a change true here, once it is true in the kernel. */
  apply({ stated }: OpenRangesChange): void {
    for (const [place, ranges] of stated) {
      if (ranges.length > 0) this.#stated.set(place, ranges)
      else this.#stated.delete(place)
    }
  }
}

function placeOf({ family, protocol, address }: CheckedOpenPort): string {
  return `${family}/${protocol}/${address}`
}

function isSame(one: CheckedOpenPort, other: CheckedOpenPort): boolean {
  return one.port === other.port && one.count === other.count
}

function without(ranges: readonly CheckedOpenPort[], others: readonly CheckedOpenPort[]): CheckedOpenPort[] {
  return ranges.filter((range) => !others.some((other) => isSame(other, range)))
}

/** The ports of `ranges`, which are of one place, as ranges that do not overlap. */
function coverOf(ranges: readonly CheckedOpenPort[]): CheckedOpenPort[] {
  const cover: CheckedOpenPort[] = []
  for (const range of [...ranges].sort((one, other) => one.port - other.port)) {
    const before = cover.at(-1)
    if (before === undefined || range.port >= before.port + before.count) cover.push(range)
    else {
      const beyond = Math.max(before.port + before.count, range.port + range.count)
      cover[cover.length - 1] = { ...before, count: beyond - before.port }
    }
  }
  return cover
}
