import { EtcdReplyError } from './errors.ts'
import type { Gateway } from './gateway.ts'
import type { KeySpace } from './key-space.ts'
import { decodeRange, type RangeReply, type RawEntry } from './replies.ts'

/** The entry of one key, as it is now anywhere in the cluster. */
export async function readEntry(
  gateway: Gateway,
  keys: KeySpace,
  key: string,
  signal: AbortSignal | undefined,
): Promise<RawEntry | undefined> {
  const [entry] = (await readKey(gateway, { key: keys.key(key) }, signal)).entries
  if (entry !== undefined && keys.nameOf(entry.key) !== key) throw new EtcdReplyError('an entry of another key')
  return entry
}

/** The revision that etcd is at, anywhere in the cluster. */
export async function readRevision(gateway: Gateway, keys: KeySpace, signal: AbortSignal | undefined): Promise<number> {
  return (await readKey(gateway, { key: keys.key(''), count_only: true }, signal)).revision
}

function readKey(gateway: Gateway, body: object, signal: AbortSignal | undefined): Promise<RangeReply> {
  return gateway.read({ path: 'kv/range', body, decode: (reply) => decodeRange(reply, 1), signal })
}
