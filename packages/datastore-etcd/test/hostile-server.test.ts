import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openEtcdStore, type EtcdStore } from '../src/index.ts'
import { bytes, hasCode } from './expectations.ts'
import { keyOf, rangeOf, startFalseEtcd, type Answer, type FalseEtcd } from './false-etcd.ts'

const REQUEST_TIMEOUT_MS = 300

let server: FalseEtcd
let store: EtcdStore
beforeEach(async () => {
  server = await startFalseEtcd()
  store = await openEtcdStore({ endpoints: [server.endpoint], requestTimeoutMs: REQUEST_TIMEOUT_MS })
})
afterEach(async () => {
  await store.close()
  await server[Symbol.asyncDispose]()
})

const says =
  (body: string, status = 200): Answer =>
  (_path, _body, response) => {
    response.writeHead(status).end(body)
  }
const entry = { key: keyOf('data/a'), value: 'AA==', mod_revision: '5' }

describe('an answer that makes no sense', () => {
  it.each([
    ['no JSON', '<html>', 'no JSON: "<html>"'],
    ['no object', '[]', 'the answer is no object'],
    ['no revision', '{}', 'no revision'],
    ['a revision that is a number', '{"header":{"revision":7}}', 'revision is no text'],
    ['a revision below zero', '{"header":{"revision":"-7"}}', 'revision is no whole number from 0 to 2^53 - 1'],
    ['a revision of 2^53', '{"header":{"revision":"9007199254740992"}}', 'revision is no whole number'],
    ['entries that are no list', '{"kvs":{}}', 'kvs is no list'],
    ['a key that is no base64', rangeOf({ ...entry, key: 'a!' }), 'key is no base64'],
    ['a value that is no base64', rangeOf({ ...entry, value: 'AB==' }), 'value is no base64'],
    ['no version', rangeOf({ ...entry, mod_revision: undefined }), 'an entry without a version'],
    ['too many entries', rangeOf(entry, entry), '2 entries, with 1 asked for'],
    ['another key', rangeOf({ ...entry, key: keyOf('data/b') }), 'an entry of another key'],
    ['an error without words', '{"error":{}}', 'an error without code or message'],
  ])('is refused: %s', async (_what, body, why) => {
    server.answer = says(body)

    await expect(store.get('a')).rejects.toThrow(hasCode('ERR_ETCD_REPLY', { outcome: 'none' }))
    await expect(store.get('a')).rejects.toThrow(why)
  })

  it('is refused: a server without a gateway', async () => {
    server.answer = says('Not Found', 404)

    await expect(store.get('a')).rejects.toThrow(hasCode('ERR_ETCD_REPLY'))
  })

  it('to a write leaves open whether that took place', async () => {
    server.answer = says('{"header":{"revision":"8"},"succeeded":true}')

    await expect(store.put('a', bytes('1'))).rejects.toThrow(hasCode('ERR_ETCD_REPLY', { outcome: 'unknown' }))
  })

  it('to a condition names no conflict that is none', async () => {
    const step = { response_range: { kvs: [entry] } }
    server.answer = says(JSON.stringify({ header: { revision: '8' }, responses: [step] }))

    await expect(store.put('a', bytes('1'), { ifVersion: 5 })).rejects.toThrow(hasCode('ERR_ETCD_REPLY'))
  })

  it('does not make a listing go on for ever', async () => {
    server.answer = says(JSON.stringify({ header: { revision: '8' }, kvs: [entry], more: true }))

    await expect(store.list('')).rejects.toThrow(hasCode('ERR_ETCD_REPLY'))
  })

  it('is not read to its end when it has none', async () => {
    server.answer = (_path, _body, response) => {
      const pour = (): void => {
        while (response.write(' '.repeat(65_536)));
      }
      response.on('drain', pour)
      pour()
    }

    await expect(store.get('a')).rejects.toThrow(hasCode('ERR_ETCD_REPLY_TOO_LONG'))
  })

  it('is a refusal that nobody expects', async () => {
    server.answer = says('{"error":"whatever","message":"whatever","code":12}', 501)

    await expect(store.get('a')).rejects.toThrow(hasCode('ERR_ETCD_REFUSED', { status: 12, reason: 'whatever' }))
  })
})

describe('a watch', () => {
  const event = (revision: number): object => ({
    type: 'DELETE',
    kv: { key: entry.key, mod_revision: String(revision) },
  })
  const message = (result: object): string =>
    `${JSON.stringify({ result: { header: { revision: '9' }, ...result } })}\n`
  const streams = (...messages: string[]): Answer => says(message({ created: true }) + messages.join(''))

  it.each([
    ['a line that is no JSON', 'nonsense\n'],
    ['a message without a result', '{}\n'],
    ['an event without a key and value', message({ events: [{}] })],
    ['an event of an unknown type', message({ events: [{ ...event(8), type: 'LOCK' }] })],
    ['revisions that fall within a message', message({ events: [event(9), event(8)] })],
  ])('ends with an error at %s', async (_what, line) => {
    server.answer = streams(line)

    const first = store.watch('', { from: 7 })[Symbol.asyncIterator]().next()
    await expect(first).rejects.toThrow(hasCode('ERR_ETCD_REPLY'))
  })

  it('ends with an error at a line that does not end', async () => {
    server.answer = streams(`{"result":"${'a'.repeat(9 * 1024 * 1024)}`)

    const first = store.watch('', { from: 7 })[Symbol.asyncIterator]().next()
    await expect(first).rejects.toThrow(hasCode('ERR_ETCD_REPLY_TOO_LONG'))
  })

  it('puts a transaction together that comes in fragments', async () => {
    server.answer = streams(
      message({ events: [event(8), event(9)], fragment: true }),
      message({ events: [event(9)], fragment: true }),
      message({ events: [event(9), event(10)] }),
    )
    const seen: [number, number][] = []
    for await (const { revision, events } of store.watch('', { from: 7 })) {
      seen.push([revision, events.length])
      if (revision === 10) break
    }

    expect(seen).toEqual([
      [8, 1],
      [9, 3],
      [10, 1],
    ])
  })

  it('goes on from where etcd said that nothing had happened', async () => {
    const asked: unknown[] = []
    server.answer = (_path, body, response) => {
      asked.push((JSON.parse(body) as { create_request: { start_revision: string } }).create_request.start_revision)
      response.end(message({ created: true }) + (asked.length === 1 ? message({}) : message({ events: [event(12)] })))
    }

    await store.watch('', { from: 7 })[Symbol.asyncIterator]().next()
    expect(asked).toEqual(['7', '9'])
  })

  it('leaves a server that has stopped to answer, though its connection is still there', async () => {
    const streams: string[] = []
    server.answer = (path, _body, response) => {
      if (path !== 'watch') return
      streams.push(path)
      response.write(message({ created: true }))
      if (streams.length === 2) response.write(message({ events: [event(8)] }))
    }

    const first = await store.watch('', { from: 7 })[Symbol.asyncIterator]().next()
    expect(first.value).toMatchObject({ revision: 8 })
  })

  it('stays with a server that is quiet', async () => {
    const asked: string[] = []
    const quiet = new Promise<void>((resolve) => {
      server.answer = (path, _body, response) => {
        asked.push(path)
        if (path === 'watch') response.write(message({ created: true }))
        else response.end('{}')
        if (asked.length === 4) resolve()
      }
    })
    const waiting = store.watch('', { from: 7 })[Symbol.asyncIterator]().next()
    const ended = expect(waiting).rejects.toThrow(hasCode('ERR_STORE_CLOSED'))
    await quiet
    await store.close()

    await ended
    expect(asked).toEqual(['watch', 'maintenance/status', 'maintenance/status', 'maintenance/status'])
  })

  it('can be left while it waits', async () => {
    server.answer = (_path, _body, response) => response.write(message({ created: true }))
    const changes = store.watch('', { from: 7 })[Symbol.asyncIterator]()
    const waiting = changes.next()

    await changes.return?.()
    expect(await waiting).toMatchObject({ done: true })
  })
})

describe('a server that does not answer', () => {
  it('is given up in time, and may have carried out a write', async () => {
    server.answer = () => undefined

    const unavailable = (outcome: string): Error => hasCode('ERR_STORE_UNAVAILABLE', { outcome })
    await expect(store.get('a')).rejects.toThrow(unavailable('none'))
    await expect(store.put('a', bytes('1'))).rejects.toThrow(unavailable('unknown'))
  })

  it('is left for another one by what only reads', async () => {
    await using other = await startFalseEtcd()
    const endpoints = [server.endpoint, other.endpoint]
    await using both = await openEtcdStore({ endpoints, requestTimeoutMs: REQUEST_TIMEOUT_MS })
    server.answer = () => undefined

    expect(await both.find('a')).toBeUndefined()
  })

  it('can be given up before', async () => {
    server.answer = () => undefined
    const abort = new AbortController()
    const reason = new Error('enough')
    const answers = Promise.allSettled([
      store.get('a', { signal: abort.signal }),
      store.put('a', bytes('1'), { signal: abort.signal }),
    ])
    abort.abort(reason)

    expect(await answers).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ])
  })

  it('is not waited for by reads when the store is closed', async () => {
    server.answer = () => undefined
    const read = expect(store.get('a')).rejects.toThrow(hasCode('ERR_STORE_CLOSED'))
    await store.close()

    await read
  })

  it('that is overloaded is asked again', async () => {
    const answers = [
      says('', 503),
      says('{"message":"etcdserver: too many requests","code":8}', 429),
      says('{"message":"etcdserver: leader changed","code":14}', 503),
      says(rangeOf()),
    ]
    server.answer = (...request) => answers.shift()?.(...request)

    await using patient = await openEtcdStore({ endpoints: [server.endpoint] })
    expect(await patient.find('a')).toBeUndefined()
    expect(answers).toEqual([])
  })
})

describe('a token that has expired', () => {
  it('is renewed once, however many calls it was refused to', async () => {
    const asked: string[] = []
    server.answer = (path, _body, response) => {
      asked.push(path)
      if (path === 'auth/authenticate')
        response.end(JSON.stringify({ token: `token ${asked.length}`.replace(' ', '-') }))
      else if (response.req.headers.authorization === 'token-1')
        says('{"message":"etcdserver: invalid auth token","code":16}', 401)(path, '', response)
      else response.end(rangeOf())
    }
    const credentials = { username: 'alice', password: 'secret' }
    await using guarded = await openEtcdStore({ endpoints: [server.endpoint], credentials })

    await Promise.all(Array.from({ length: 20 }, () => guarded.find('a')))
    expect(asked.filter((path) => path === 'auth/authenticate')).toHaveLength(2)
  })

  it('and whose successor is refused as well is a denial', async () => {
    server.answer = (path, _body, response) => {
      if (path === 'auth/authenticate') response.end('{"token":"token"}')
      else says('{"message":"etcdserver: invalid auth token","code":16}', 401)(path, '', response)
    }
    const credentials = { username: 'alice', password: 'secret' }
    await using guarded = await openEtcdStore({ endpoints: [server.endpoint], credentials })

    await expect(guarded.find('a')).rejects.toThrow(hasCode('ERR_ETCD_ACCESS_DENIED'))
  })
})
