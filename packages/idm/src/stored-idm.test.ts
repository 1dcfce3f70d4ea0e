import { memoryStore, type Store } from '@net/datastore'
import { beforeEach, describe, expect, it } from 'vitest'
import { openIdm, type StoredIdm } from './index.ts'

const code = (name: string): object => expect.objectContaining({ code: name }) as object
const set = { name: 'vni', first: 5, last: 14 }

let store: Store
let one: StoredIdm
let other: StoredIdm
beforeEach(async () => {
  store = memoryStore()
  one = await openIdm(set, { store })
  other = await openIdm(set, { store })
})

describe('a set of ids in a store', () => {
  it.each(['', 'a/b', 'ä', 'x'.repeat(201)])('is not called %j', async (name) => {
    await expect(openIdm({ ...set, name }, { store })).rejects.toThrow(code('ERR_INVALID_NAME'))
  })

  it('has one range, which all who open it must mean', async () => {
    await expect(openIdm({ ...set, last: 15 }, { store })).rejects.toThrow(
      'invalid set range: [5, 15], expected 5-14, as the set was begun',
    )
    await expect(openIdm({ name: 'other', first: 2, last: 1 }, { store })).rejects.toThrow(code('ERR_INVALID_RANGE'))
    expect(await (await openIdm({ ...set, name: 'other', last: 15 }, { store })).take()).toBe(5)
  })

  it('gives each id once, whoever is asked', async () => {
    const taken = await Promise.all(Array.from({ length: 10 }, (_, at) => (at % 2 ? one : other).take()))

    expect(taken.sort((a, b) => a - b)).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14])
    for (const idm of [one, other]) await expect(idm.take()).rejects.toThrow(code('ERR_NO_ID_AVAILABLE'))
  })

  it('gives an id that another let go before it says that none is left', async () => {
    while ((await one.free()) > 0) await one.take()
    await other.release(9)

    expect(await one.take()).toBe(9)
    await other.release(12)
    await one.takeSpecific(12)
    expect(await other.free()).toBe(0)
  })

  it('gives an id that it took itself and another let go', async () => {
    for (let at = 0; at < 10; at++) await one.take()
    await other.release(9)

    expect(await one.take()).toBe(9)
  })

  it('takes within a part, in a circle, or a specific id, as one in memory does', async () => {
    expect(await one.take({ within: { first: 8, last: 9 } })).toBe(8)
    expect(await one.take({ serial: true })).toBe(9)
    await one.release(8)
    expect(await one.take({ serial: true })).toBe(10)
    expect([await other.has(8), await other.has(9), await other.has(99)]).toEqual([false, true, false])

    await expect(other.takeSpecific(9)).rejects.toThrow(code('ERR_ID_IN_USE'))
    await expect(other.takeSpecific(15)).rejects.toThrow(code('ERR_ID_OUT_OF_RANGE'))
    await expect(one.take({ within: { first: 1, last: 9 } })).rejects.toThrow(code('ERR_INVALID_RANGE'))
    await one.release(99)
  })

  it('goes on in its circle after it was read anew', async () => {
    expect([await one.take({ serial: true }), await one.take({ serial: true })]).toEqual([5, 6])
    await one.release(5)
    await one.free()

    expect(await one.take({ serial: true })).toBe(7)
  })

  it('is there when it is opened again', async () => {
    await one.takeSpecific(5)

    expect(await (await openIdm(set, { store })).take()).toBe(6)
  })

  it('records what the caller has to record in the same transaction, or does nothing', async () => {
    const put = { type: 'put', key: 'network', value: new Uint8Array(), ifVersion: 0 } as const
    const id = await one.take({}, { with: [put] })
    expect((await store.get('network')).version).toBe(
      (await store.get(`idm/v1/vni/id/${'5'.padStart(14, '0')}`)).version,
    )

    for (const attempt of [() => one.take({}, { with: [put] }), () => one.takeSpecific(7, { with: [put] })]) {
      await expect(attempt()).rejects.toMatchObject({ code: 'ERR_VERSION_CONFLICT', key: 'network' })
    }
    await expect(one.release(id, { with: [put] })).rejects.toMatchObject({ code: 'ERR_VERSION_CONFLICT' })
    expect(await other.free()).toBe(9)
    expect(await one.take()).toBe(6)

    await one.release(id, { with: [{ type: 'delete', key: 'network' }] })
    expect(await store.find('network')).toBeUndefined()
  })

  it('goes on in its circle where a request failed', async () => {
    const put = { type: 'put', key: 'network', value: new Uint8Array(), ifVersion: 7 } as const
    const serial = (): Promise<number> => one.take({ serial: true })
    expect([await serial(), await serial()]).toEqual([5, 6])
    const failing = Array.from({ length: 3 }, () => one.take({ serial: true }, { with: [put] }))
    for (const request of failing) await expect(request).rejects.toThrow(code('ERR_VERSION_CONFLICT'))

    await expect(one.takeSpecific(10, { with: [put] })).rejects.toThrow(code('ERR_VERSION_CONFLICT'))
    await expect(one.takeSpecific(5 + 9, { with: [put] })).rejects.toThrow(code('ERR_VERSION_CONFLICT'))

    expect([await serial(), await serial()]).toEqual([7, 8])
    await one.release(5)
    await expect(one.takeSpecific(5, { with: [put] })).rejects.toThrow(code('ERR_VERSION_CONFLICT'))
    expect(await serial()).toBe(9)
  })

  it('goes on at its first id where the very first request failed', async () => {
    const put = { type: 'put', key: 'network', value: new Uint8Array(), ifVersion: 7 } as const
    await expect(one.take({ serial: true }, { with: [put] })).rejects.toThrow(code('ERR_VERSION_CONFLICT'))

    expect([await one.take({ serial: true }), await one.take({ serial: true })]).toEqual([5, 6])
  })

  it('passes over keys that are none of its ids', async () => {
    for (const key of ['zzz', '00000000000063', '000000000000005z', '5', ''])
      await store.put(`idm/v1/vni/id/${key}`, new Uint8Array())

    expect(await (await openIdm(set, { store })).free()).toBe(10)
  })

  it('does nothing when the call was given up', async () => {
    const signal = AbortSignal.abort(new Error('enough'))

    await expect(openIdm(set, { store }, { signal })).rejects.toThrow('enough')
    await expect(one.take({}, { signal })).rejects.toThrow('enough')
    await expect(one.takeSpecific(6, { signal })).rejects.toThrow('enough')
    await expect(one.release(6, { signal })).rejects.toThrow('enough')
    expect(await one.free()).toBe(10)
  })

  it.each(['put', 'get', 'list'] as const)('is not opened any longer than somebody wants it: %s', async (slow) => {
    const controller = new AbortController()
    const hanging = new Proxy(store, {
      get: (target, name) => {
        if (name !== slow) return (Reflect.get(target, name) as () => unknown).bind(target)
        return (...args: { signal?: AbortSignal }[]) =>
          new Promise((_resolve, reject) => {
            args.at(-1)?.signal?.addEventListener('abort', () => {
              reject(new Error('given up'))
            })
            queueMicrotask(() => {
              controller.abort()
            })
          })
      },
    })

    await expect(openIdm(set, { store: hanging }, { signal: controller.signal })).rejects.toThrow('given up')
  })
})
