/** Who holds which addresses, as far as they said so. */
export class Owners {
  readonly #byOffset = new Map<bigint, string>()
  readonly #byOwner = new Map<string, Set<bigint>>()

  get(offset: bigint): string | undefined {
    return this.#byOffset.get(offset)
  }

  /** An address from `first` to `last` that `owner` holds. */
  find(owner: string, first: bigint, last: bigint): bigint | undefined {
    for (const offset of this.#byOwner.get(owner) ?? []) if (offset >= first && offset <= last) return offset
    return undefined
  }

  add(offset: bigint, owner: string): void {
    this.#byOffset.set(offset, owner)
    const offsets = this.#byOwner.get(owner)
    if (offsets === undefined) this.#byOwner.set(owner, new Set([offset]))
    else offsets.add(offset)
  }

  remove(offset: bigint): void {
    const owner = this.#byOffset.get(offset)
    if (owner === undefined) return
    this.#byOffset.delete(offset)
    const offsets = this.#byOwner.get(owner)
    offsets?.delete(offset)
    if (offsets?.size === 0) this.#byOwner.delete(owner)
  }
}
