/** Asks etcd's gateway directly, past the store: another eye, and a hand behind its back. */
export async function askEtcd(endpoint: string, path: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${endpoint}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) })
  const answer = (await response.json()) as Record<string, unknown>
  if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`)
  return answer
}

/** Puts bytes under a key, as etcd calls it. */
export async function putRaw(endpoint: string, key: string | Uint8Array, value: Uint8Array): Promise<void> {
  await askEtcd(endpoint, 'kv/put', { key: base64(key), value: base64(value) })
}

/** The bytes under a key, as etcd calls it. */
export async function getRaw(endpoint: string, key: string): Promise<Uint8Array | undefined> {
  const { kvs = [] } = (await askEtcd(endpoint, 'kv/range', { key: base64(key) })) as { kvs?: { value: string }[] }
  return kvs[0] && new Uint8Array(Buffer.from(kvs[0].value, 'base64'))
}

/** Forgets the history up to now, which is the revision returned. */
export async function compact(endpoint: string): Promise<number> {
  const { header } = (await askEtcd(endpoint, 'kv/range', { key: base64('any') })) as { header: { revision: string } }
  await askEtcd(endpoint, 'kv/compaction', { revision: header.revision, physical: true })
  return Number(header.revision)
}

function base64(data: string | Uint8Array): string {
  return Buffer.from(data as string).toString('base64')
}
