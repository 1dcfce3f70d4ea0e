import { StoreUnavailableError } from '@net/datastore'
import { isNetError } from '@net/types'
import { EtcdRefusedError, EtcdReplyError } from './errors.ts'
import type { Gateway } from './gateway.ts'
import { encodeRange, following, type KeyRange, type KeySpace } from './key-space.ts'
import { sortOf } from './refusal.ts'
import { decodeRange, type RangeReply, type RawEntry } from './replies.ts'

/** Entries asked for at once. */
const PAGE = 500
/** Pages to try when one is too much for an answer: values of ours fit eight times, those of others once. */
const SMALLER_PAGES = [8, 1]
/** How often a listing begins anew since the revision it was at is gone. */
const TRIES = 3

/** An entry whose key is one of ours. */
export interface NamedEntry extends RawEntry {
  readonly name: string
}

/** What to read. */
export interface RangeRequest {
  readonly prefix: string
  readonly after?: string | undefined
  /** Entries at most, those not counted aside. @defaultValue all */
  readonly limit?: number | undefined
  /** @defaultValue each one */
  readonly counts?: ((entry: NamedEntry) => boolean) | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Range {
  readonly entries: readonly NamedEntry[]
  readonly revision: number
  readonly more: boolean
}

/** Entries in order of their keys, all at one revision, read a page at a time. */
export async function readRange(gateway: Gateway, keys: KeySpace, request: RangeRequest): Promise<Range> {
  for (let tries = 1; ; tries++) {
    try {
      return await readPages(gateway, keys, request)
    } catch (error) {
      if (!(error instanceof EtcdRefusedError) || sortOf(error) !== 'compacted') throw error
      if (tries === TRIES) throw new StoreUnavailableError('etcd', error.reason, 'none', error)
    }
  }
}

async function readPages(gateway: Gateway, keys: KeySpace, request: RangeRequest): Promise<Range> {
  const { prefix, after, limit = Infinity, counts = () => true, signal } = request
  const entries: NamedEntry[] = []
  let range = keys.range(prefix, after)
  let revision: number | undefined
  for (let missing = limit; ;) {
    const page = await readPage(gateway, { range, revision, count: Math.min(missing, PAGE), signal })
    revision ??= page.revision
    const named = page.entries.flatMap((entry) => nameOf(entry, keys))
    entries.push(...named)
    missing -= named.filter(counts).length
    const last = page.entries.at(-1)
    if (!page.more || last === undefined || missing === 0) return { entries, revision, more: page.more }
    range = { ...range, first: following(last.key) }
  }
}

/** A key that somebody else put there, and that none of ours can be, is passed over. */
function nameOf(entry: RawEntry, keys: KeySpace): NamedEntry[] {
  const name = keys.nameOf(entry.key)
  return name === undefined ? [] : [{ ...entry, name }]
}

interface PageRequest {
  readonly range: KeyRange
  readonly revision: number | undefined
  readonly count: number
  readonly signal: AbortSignal | undefined
}

/** A page, or a smaller one where values are so large that it would be too much for one answer. */
async function readPage(gateway: Gateway, request: PageRequest): Promise<RangeReply> {
  const sizes = [request.count, ...SMALLER_PAGES.filter((size) => size < request.count)]
  for (;;) {
    const limit = sizes.shift() ?? 1
    try {
      const page = await readLimited(gateway, { ...request, count: limit })
      checkOrder(page, request.range)
      return page
    } catch (error) {
      if (!isNetError(error, 'ERR_ETCD_REPLY_TOO_LONG') || sizes.length === 0) throw error
    }
  }
}

function readLimited(gateway: Gateway, { range, revision, count, signal }: PageRequest): Promise<RangeReply> {
  return gateway.read({
    path: 'kv/range',
    body: {
      ...encodeRange(range),
      limit: String(count),
      ...(revision === undefined ? {} : { revision: String(revision) }),
    },
    decode: (reply) => decodeRange(reply, count),
    signal,
  })
}

/** Reading on from behind the last key of a page might never end if that were not a later one each time. */
function checkOrder(page: RangeReply, { first, end }: KeyRange): void {
  let least = first
  for (const { key } of page.entries) {
    if (Buffer.compare(key, least) < 0 || Buffer.compare(key, end) >= 0)
      throw new EtcdReplyError('entries that were not asked for, or not in order')
    least = following(key)
  }
}
