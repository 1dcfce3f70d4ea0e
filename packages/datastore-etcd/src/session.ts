/** The token that shows who we are, fetched when it is first needed and again when it is no longer good. */
export class Session {
  readonly #fetch: (() => Promise<string | undefined>) | undefined
  #token: Promise<string | undefined> | undefined
  /** What was fetched last. */
  #current: string | undefined

  /** @param fetch - absent where etcd lets everybody in */
  constructor(fetch: (() => Promise<string | undefined>) | undefined) {
    this.#fetch = fetch
  }

  /** The same for all who ask at the same time. */
  async token(): Promise<string | undefined> {
    if (this.#fetch === undefined) return undefined
    const token = (this.#token ??= this.#fetch())
    try {
      return (this.#current = await token)
    } catch (error) {
      if (this.#token === token) this.#token = undefined
      throw error
    }
  }

  /**
   * The next one who asks fetches a new one, unless somebody has already.
   *
   * @param stale - the token that was refused
   * @returns whether there can be a new one
   */
  forget(stale = this.#current): boolean {
    if (stale === this.#current) {
      this.#token = undefined
      this.#current = undefined
    }
    return this.#fetch !== undefined
  }
}
