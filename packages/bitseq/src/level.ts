import { PageTable } from './page-table.ts'
import { PAGE_BITS, Pages } from './pages.ts'

/** Where a bit lies: the number of its page, and its place in the page. */
export interface Position {
  readonly page: number
  readonly bit: number
}

/** A stretch of a row in which something is set: a mixed page, or full pages. */
export type Piece =
  | { readonly kind: 'mixed'; readonly page: number; readonly blocks: Uint32Array }
  | { readonly kind: 'full'; readonly page: number; readonly end: number }

/** A stretch of set bits; `end` is not part of it. */
interface Run {
  readonly first: number
  readonly end: number
}

/**
 * An endless row of bits, all clear at first.
 *
 * Only the mixed pages are held, in a hash by their number. A page that is not held is full when
 * its bit is set in the level above, which is just such a row with one bit for each page; and
 * empty otherwise. So both long runs and far strewn bits take little, and finding a clear bit
 * looks at two pages of each level at most, whatever lies between.
 */
export class Level {
  #pages = new Pages(0)
  readonly #places = new PageTable()
  #above: Level | undefined

  has(page: number, bit: number): boolean {
    const place = this.#places.get(page)
    return place === undefined ? this.#isFull(page) : this.#pages.has(place, bit)
  }

  /** Sets a bit. Says whether it was clear. */
  set(page: number, bit: number): boolean {
    let place = this.#places.get(page)
    if (place === undefined) {
      if (this.#isFull(page)) return false
      place = this.#hold(page, this.#pages.add(false))
    } else if (this.#pages.has(place, bit)) return false

    if (this.#pages.flip(place, bit) === PAGE_BITS) this.#becomeFull(page, place)
    return true
  }

  /** Clears a bit. Says whether it was set. */
  clear(page: number, bit: number): boolean {
    let place = this.#places.get(page)
    if (place === undefined) {
      if (this.#above?.clear(Math.floor(page / PAGE_BITS), page % PAGE_BITS) !== true) return false
      place = this.#hold(page, this.#pages.add(true))
    } else if (!this.#pages.has(place, bit)) return false

    if (this.#pages.flip(place, bit) === 0) this.#drop(page, place)
    return true
  }

  /** The first clear bit at or after the given one. There always is one: the row is endless. */
  firstClear(page: number, bit: number): Position {
    const place = this.#places.get(page)
    if (place !== undefined) {
      const found = this.#pages.firstClear(place, bit)
      if (found !== undefined) return { page, bit: found }
    }
    const next = this.#firstNotFull(place === undefined ? page : page + 1)
    if (next === page) return { page, bit }
    const nextPlace = this.#places.get(next)
    return { page: next, bit: nextPlace === undefined ? 0 : (this.#pages.firstClear(nextPlace, 0) ?? 0) }
  }

  /** Makes a page what `blocks` say. It must be empty. */
  setPage(page: number, blocks: Uint32Array): void {
    const place = this.#hold(page, this.#pages.addBlocks(blocks))
    const count = this.#pages.countOf(place)
    if (count === 0) this.#drop(page, place)
    else if (count === PAGE_BITS) this.#becomeFull(page, place)
  }

  /** Sets every bit of the pages `first` up to, but not including, `end`. They must be empty. */
  setPages(first: number, end: number): void {
    if (first < end) this.#levelAbove().#setRun(first, end)
  }

  /** How many bits of a page from `from` up to, but not including, `end` are set. */
  countInPage(page: number, from: number, end: number): number {
    const place = this.#places.get(page)
    if (place !== undefined) return this.#pages.countBetween(place, from, end)
    return this.#isFull(page) ? end - from : 0
  }

  /** How many of the pages `first` up to, but not including, `end` are full, and bits set in the mixed ones. */
  countPages(first: number, end: number): { readonly fullPages: number; readonly bits: number } {
    let bits = 0
    for (const page of this.#places.sorted()) {
      if (page >= first && page < end) bits += this.#pages.countOf(this.#places.get(page) ?? 0)
    }
    return { fullPages: this.#above?.count(first, end) ?? 0, bits }
  }

  /** How many of the bits `first` up to, but not including, `end` are set. For levels above the lowest. */
  count(first: number, end: number): number {
    if (first >= end) return 0
    const firstPage = Math.floor(first / PAGE_BITS)
    const lastPage = Math.floor((end - 1) / PAGE_BITS)
    const endBit = end - lastPage * PAGE_BITS
    if (firstPage === lastPage) return this.countInPage(firstPage, first % PAGE_BITS, endBit)
    const { fullPages, bits } = this.countPages(firstPage + 1, lastPage)
    return (
      this.countInPage(firstPage, first % PAGE_BITS, PAGE_BITS) +
      (fullPages * PAGE_BITS + bits) +
      this.countInPage(lastPage, 0, endBit)
    )
  }

  /** Mixed and full pages, in order. */
  *pieces(): Generator<Piece> {
    const mixed = this.#places.sorted()
    let next = 0
    for (const run of this.#above?.runs() ?? []) {
      for (; next < mixed.length && (mixed[next] ?? 0) < run.first; next++) yield this.#mixedPiece(mixed[next] ?? 0)
      yield { kind: 'full', page: run.first, end: run.end }
    }
    for (; next < mixed.length; next++) yield this.#mixedPiece(mixed[next] ?? 0)
  }

  /** Stretches of set bits, in order; two may touch. For levels above the lowest. */
  *runs(): Generator<Run> {
    for (const piece of this.pieces()) {
      const start = piece.page * PAGE_BITS
      if (piece.kind === 'full') yield { first: start, end: piece.end * PAGE_BITS }
      else yield* runsOfPage(piece.blocks, start)
    }
  }

  clone(): Level {
    const copy = new Level()
    copy.#repack(this, this.#places.size)
    copy.#above = this.#above?.clone()
    return copy
  }

  #isFull(page: number): boolean {
    return this.#above?.has(Math.floor(page / PAGE_BITS), page % PAGE_BITS) ?? false
  }

  #firstNotFull(from: number): number {
    if (this.#above === undefined) return from
    const found = this.#above.firstClear(Math.floor(from / PAGE_BITS), from % PAGE_BITS)
    return found.page * PAGE_BITS + found.bit
  }

  #setRun(first: number, end: number): void {
    const firstWhole = Math.ceil(first / PAGE_BITS)
    const endWhole = Math.floor(end / PAGE_BITS)
    if (firstWhole > endWhole) {
      this.#fillInPage(endWhole, first % PAGE_BITS, end % PAGE_BITS)
      return
    }
    if (first % PAGE_BITS !== 0) this.#fillInPage(firstWhole - 1, first % PAGE_BITS, PAGE_BITS)
    this.setPages(firstWhole, endWhole)
    if (end % PAGE_BITS !== 0) this.#fillInPage(endWhole, 0, end % PAGE_BITS)
  }

  #fillInPage(page: number, from: number, end: number): void {
    const place = this.#places.get(page) ?? this.#hold(page, this.#pages.add(false))
    if (this.#pages.fill(place, from, end) === PAGE_BITS) this.#becomeFull(page, place)
  }

  #levelAbove(): Level {
    this.#above ??= new Level()
    return this.#above
  }

  #becomeFull(page: number, place: number): void {
    this.#drop(page, place)
    this.#levelAbove().set(Math.floor(page / PAGE_BITS), page % PAGE_BITS)
  }

  #hold(page: number, place: number): number {
    this.#places.set(page, place)
    return place
  }

  #drop(page: number, place: number): void {
    this.#places.delete(page)
    this.#pages.remove(place)
    // Give memory back, but not so eagerly that a row at the border is copied over and over.
    if (this.#pages.capacity > 8 * (this.#places.size + 1)) this.#repack(this, 2 * this.#places.size)
  }

  /** Copies the pages of `from` into a new array without gaps. */
  #repack(from: Level, capacity: number): void {
    const pages = new Pages(capacity)
    for (const page of from.#places.sorted()) {
      this.#places.set(page, pages.addBlocks(from.#pages.blocksOf(from.#places.get(page) ?? 0)))
    }
    this.#pages = pages
  }

  #mixedPiece(page: number): Piece {
    return { kind: 'mixed', page, blocks: this.#pages.blocksOf(this.#places.get(page) ?? 0) }
  }
}

function* runsOfPage(blocks: Uint32Array, start: number): Generator<Run> {
  let first: number | undefined
  for (let bit = 0; bit < PAGE_BITS; bit++) {
    const isSet = ((blocks[bit >>> 5] ?? 0) & (0x80000000 >>> (bit & 31))) !== 0
    if (isSet) first ??= start + bit
    else if (first !== undefined) {
      yield { first, end: start + bit }
      first = undefined
    }
  }
  if (first !== undefined) yield { first, end: start + PAGE_BITS }
}
