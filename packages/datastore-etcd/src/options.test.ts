import { describe, expect, it } from 'vitest'
import { openEtcdStore } from './open-store.ts'
import { resolveOptions, type EtcdStoreOptions } from './options.ts'

const endpoints = ['http://10.0.0.1:2379']

describe('options', () => {
  it('have defaults for everything but the endpoints', () => {
    expect(resolveOptions({ endpoints }, {})).toMatchObject({
      prefix: 'net/',
      credentials: undefined,
      tls: {},
      requestTimeoutMs: 10_000,
      connectTimeoutMs: 2_000,
      connections: 64,
    })
  })

  it.each<[string, object, string]>([
    ['no endpoints', { endpoints: [] }, 'ERR_INVALID_STORE_OPTION'],
    ['endpoints that are a text', { endpoints: 'http://10.0.0.1:2379' }, 'ERR_INVALID_STORE_OPTION'],
    ['no URL', { endpoints: ['10.0.0.1:2379'] }, 'ERR_INVALID_STORE_OPTION'],
    ['another protocol', { endpoints: ['ftp://10.0.0.1'] }, 'ERR_INVALID_STORE_OPTION'],
    ['a path', { endpoints: ['http://10.0.0.1/v3'] }, 'ERR_INVALID_STORE_OPTION'],
    ['two protocols', { endpoints: ['http://10.0.0.1', 'https://10.0.0.2'] }, 'ERR_INVALID_STORE_OPTION'],
    ['TLS for http', { endpoints, tls: { ca: 'PEM' } }, 'ERR_INVALID_STORE_OPTION'],
    ['half a certificate', { endpoints: ['https://10.0.0.1'], tls: { cert: 'PEM' } }, 'ERR_INVALID_STORE_OPTION'],
    ['a prefix that is no key', { endpoints, prefix: 'a\0/' }, 'ERR_INVALID_KEY'],
    ['an empty prefix', { endpoints, prefix: '' }, 'ERR_INVALID_KEY'],
    ['a prefix without a slash', { endpoints, prefix: 'net' }, 'ERR_INVALID_STORE_OPTION'],
    ['no name', { endpoints, credentials: { username: '', password: 'secret' } }, 'ERR_INVALID_STORE_OPTION'],
    ['no time', { endpoints, requestTimeoutMs: 0 }, 'ERR_INVALID_STORE_OPTION'],
    ['no time to connect', { endpoints, connectTimeoutMs: Number.NaN }, 'ERR_INVALID_STORE_OPTION'],
    ['no connections', { endpoints, connections: 0 }, 'ERR_INVALID_STORE_OPTION'],
  ])('are refused before anything is connected: %s', async (_what, options, code) => {
    await expect(openEtcdStore(options as EtcdStoreOptions)).rejects.toThrow(expect.objectContaining({ code }) as Error)
  })

  it('do not repeat a password that was put into an endpoint', () => {
    const open = (): unknown => resolveOptions({ endpoints: ['http://alice:secret@10.0.0.1:2379'] }, {})

    expect(open).toThrow('invalid endpoint http://10.0.0.1:2379: expected the user in credentials')
  })
})
