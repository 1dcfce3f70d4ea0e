import { isNetError } from '@net/types'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeBody } from './refusal.ts'
import { decodeKeepAlive, decodeLease, decodeRange, decodeToken, decodeTransaction, isLeaseId } from './replies.ts'
import { decodeWatchReply } from './watch-reply.ts'

const decoders: [string, (reply: unknown) => unknown][] = [
  ['a range', (reply) => decodeRange(reply, 3)],
  ['a transaction', (reply) => decodeTransaction(reply, { success: 1, failure: 1 })],
  ['a lease', decodeLease],
  ['a renewal', decodeKeepAlive],
  ['a token', decodeToken],
  ['a message of a watch', decodeWatchReply],
  ['a body', (reply) => decodeBody(200, JSON.stringify(reply))],
  ['a body of an error', (reply) => decodeBody(500, JSON.stringify(reply))],
]

/** What etcd might have said, with anything in places where something else belongs. */
const reply = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('1', '0', '-1', '9007199254740992', 'YQ==', 'a', '', true, false, 7, 'DELETE'),
    fc.jsonValue({ maxDepth: 1 }),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(
      fc.constantFrom(
        ...['result', 'header', 'revision', 'kvs', 'kv', 'key', 'value', 'mod_revision', 'events', 'type', 'more'],
        ...['created', 'canceled', 'compact_revision', 'fragment', 'ID', 'TTL', 'token', 'succeeded', 'responses'],
        ...['response_range', 'response_delete_range', 'deleted', 'error', 'message', 'code'],
      ),
      tie('value'),
      { maxKeys: 5 },
    ),
  ),
})).value

it.each(decoders)('whatever comes as %s is understood or refused, and nothing else', (_what, decode) => {
  fc.assert(
    fc.property(reply, (value) => {
      try {
        decode(value)
      } catch (error) {
        expect(isNetError(error, 'ERR_ETCD_REPLY') || isNetError(error, 'ERR_ETCD_REFUSED')).toBe(true)
      }
    }),
    { numRuns: 1_000 },
  )
})

it('an id of a lease is a positive int64', () => {
  expect(['1', '7587862094783471123', '9223372036854775807'].map(isLeaseId)).toEqual([true, true, true])
  expect(['', '0', '-1', '01', '9223372036854775808', '1e3', 'a'].some(isLeaseId)).toBe(false)
})

it('a token that would end the header that it belongs into is refused', () => {
  expect(() => decodeToken({ token: 'a\r\nHost: other' })).toThrow('a token that is no header value')
})
