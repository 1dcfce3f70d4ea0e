import { sealValue, type StoreOperation } from '@net/datastore'
import { describe, expect, it } from 'vitest'
import { EtcdRefusedError } from './errors.ts'
import { KeySpace } from './key-space.ts'
import { conflictIn, encodeTransaction, explainRefusal } from './transaction.ts'

const keys = new KeySpace('net/data/')
const base64 = (data: string | Uint8Array): string => Buffer.from(data as string).toString('base64')
const value = Buffer.from('one')

const operations: StoreOperation[] = [
  { type: 'put', key: 'a', value, ifVersion: 5, lease: '77' },
  { type: 'delete', key: 'b' },
  { type: 'check', key: 'c', ifVersion: 0 },
]

describe('a transaction', () => {
  it('compares versions, does what is wanted, or looks at what was compared', () => {
    expect(encodeTransaction(operations, keys)).toEqual({
      compare: [
        { key: base64('net/data/a'), target: 'MOD', result: 'EQUAL', mod_revision: '5' },
        { key: base64('net/data/c'), target: 'MOD', result: 'EQUAL', mod_revision: '0' },
      ],
      success: [
        { request_put: { key: base64('net/data/a'), value: base64(sealValue('a', value)), lease: '77' } },
        { request_delete_range: { key: base64('net/data/b') } },
      ],
      failure: [
        { request_range: { key: base64('net/data/a'), keys_only: true } },
        { request_range: { key: base64('net/data/c'), keys_only: true } },
      ],
    })
  })

  it('that is refused names the first version that differs', () => {
    const steps = [
      { deleted: 0, version: 5 },
      { deleted: 0, version: 9 },
    ]

    expect(conflictIn(operations, { revision: 10, succeeded: false, steps })).toMatchObject({
      key: 'c',
      expected: 0,
      actual: 9,
    })
  })

  it('is refused before it is sent when a lease is named that can be none', () => {
    const put: StoreOperation = { type: 'put', key: 'a', value, lease: 'mine' }

    expect(() => encodeTransaction([put], keys)).toThrow('no such lease: mine')
  })

  it.each([
    [5, 'etcdserver: requested lease not found', 'ERR_NO_SUCH_LEASE'],
    [3, 'etcdserver: request is too large', 'ERR_TRANSACTION_TOO_LARGE'],
    [8, 'grpc: received message larger than max (2172882 vs. 2097152)', 'ERR_TRANSACTION_TOO_LARGE'],
    [3, 'etcdserver: too many operations in txn request', 'ERR_ETCD_REFUSED'],
  ])('that etcd refuses with status %d and “%s” is %s', (status, reason, code) => {
    expect(explainRefusal(new EtcdRefusedError(status, reason), operations)).toMatchObject({ code })
  })
})
