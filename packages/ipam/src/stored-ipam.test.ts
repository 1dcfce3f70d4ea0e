import { memoryStore, ValueDamagedError, type Store, type StoreOperation } from '@net/datastore'
import type { IpamDriver } from '@net/ipamapi'
import { silentLogger } from '@net/types'
import { beforeEach, describe, expect, it } from 'vitest'
import { defaultIpam } from './index.ts'

const addressSpace = 'LocalDefault'
const code = (name: string): object => expect.objectContaining({ code: name }) as object
const note = (key: string, ifVersion?: number): StoreOperation => ({
  type: 'put',
  key,
  value: new TextEncoder().encode('noted'),
  ...(ifVersion === undefined ? {} : { ifVersion }),
})

let store: Store
let one: IpamDriver
let other: IpamDriver
beforeEach(() => {
  store = memoryStore()
  one = defaultIpam({}, { store })
  other = defaultIpam({}, { store })
})

const keys = async (): Promise<string[]> => (await store.list('ipam/')).entries.map(({ key }) => key)

describe('managers over one store', () => {
  it('say where they keep their records, and that nothing needs to be replayed', () => {
    expect(one.capabilities).toEqual({ requiresMacAddress: false, requiresRequestReplay: false, store })
  })

  it('know of each other what is held, and what was let go', async () => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/29' })
    await other.requestAddress(id, { address: '10.0.0.3' })

    await expect(one.requestAddress(id, { address: '10.0.0.3' })).rejects.toThrow(code('ERR_ADDRESS_IN_USE'))
    await expect(other.requestPool({ addressSpace, pool: '10.0.0.0/8' })).rejects.toThrow(code('ERR_POOL_OVERLAP'))

    await other.releaseAddress(id, '10.0.0.3')
    expect(await one.requestAddress(id, { address: '10.0.0.3' })).toMatchObject({ address: '10.0.0.3/29' })
    await one.releasePool(id)
    await expect(other.requestAddress(id)).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
    expect(await other.requestPool({ addressSpace, pool: '10.0.0.0/8' })).toMatchObject({ pool: '10.0.0.0/8' })
  })

  it('hand out every address once, whoever is asked, and find those that the other let go', async () => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/26' })
    const taken = await Promise.all(Array.from({ length: 62 }, (_, at) => (at % 2 ? one : other).requestAddress(id)))

    expect(new Set(taken.map(({ address }) => address)).size).toBe(62)
    for (const ipam of [one, other])
      await expect(ipam.requestAddress(id)).rejects.toThrow(code('ERR_NO_ADDRESS_AVAILABLE'))
    expect(await other.poolStatus?.(id)).toEqual({ taken: 64n, available: 0n })

    await one.releaseAddress(id, '10.0.0.17')
    expect(await other.requestAddress(id)).toMatchObject({ address: '10.0.0.17/26' })
  })

  it('choose different pools, and IPv6 ones of one prefix', async () => {
    const requests = Array.from({ length: 10 }, (_, at) =>
      (at % 2 ? one : other).requestPool({ addressSpace, family: 6 }),
    )
    const pools = (await Promise.all(requests)).map(({ pool }) => pool)

    expect(new Set(pools).size).toBe(10)
    expect(new Set(pools.map((pool) => pool.split(':').slice(0, 3).join(':'))).size).toBe(1)
  })

  it('share a pool by sub-pools', async () => {
    const [left, right] = await Promise.all([
      one.requestPool({ addressSpace, pool: '10.0.0.0/24', subPool: '10.0.0.0/25' }),
      other.requestPool({ addressSpace, pool: '10.0.0.0/24', subPool: '10.0.0.128/25' }),
    ])
    await one.requestAddress(right.id)
    await one.releasePool(left.id)

    expect(await other.requestAddress(right.id)).toMatchObject({ address: '10.0.0.129/24' })
    await expect(one.requestPool({ addressSpace, pool: '10.0.0.0/24' })).rejects.toThrow(code('ERR_POOL_OVERLAP'))
    await other.releasePool(right.id)
    expect(await one.requestPool({ addressSpace, pool: '10.0.0.0/24' })).toMatchObject({ pool: '10.0.0.0/24' })
  })

  it('give an owner the address it holds, wherever it asks', async () => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/24' })
    const first = await one.requestAddress(id, { owner: 'endpoint/1%' })

    expect(await other.requestAddress(id, { owner: 'endpoint/1%' })).toEqual(first)
    expect(await other.requestAddress(id, { owner: 'endpoint/2%' })).not.toEqual(first)

    await other.releaseAddress(id, '10.0.0.1')
    expect(await other.requestAddress(id, { owner: 'another' })).toEqual(first)
    expect(await one.requestAddress(id, { owner: 'endpoint/1%' })).not.toEqual(first)
  })

  it('leave nothing of a pool that was let go, even if the one that let it go was stopped half way', async () => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/16' })
    await Promise.all(Array.from({ length: 250 }, (_, at) => one.requestAddress(id, { owner: `o${at}` })))
    const stopped = stopAfter(store, 3)
    await defaultIpam({}, { store: stopped }).releasePool(id)
    expect((await keys()).length).toBeGreaterThan(200)

    const next = defaultIpam({}, { store })
    const again = await next.requestPool({ addressSpace, pool: '10.0.0.0/16' })

    expect(await keys()).toEqual(['ipam/v1/LocalDefault/pool/4/0a000000/16', 'ipam/v1/LocalDefault/space'])
    expect(await next.requestAddress(again.id)).toMatchObject({ address: '10.0.0.1/16' })
  })
})

/** A store of which nothing more comes after so many writes, as when its process was killed. */
function stopAfter(inner: Store, writes: number): Store {
  return new Proxy(inner, {
    get: (target, name) => {
      const member = Reflect.get(target, name) as unknown
      if (typeof member !== 'function') return member
      return (...args: unknown[]): unknown => {
        if (['put', 'delete', 'transaction'].includes(String(name)) && writes-- <= 0) throw new Error('stopped')
        return (member as (...args: unknown[]) => unknown).apply(target, args)
      }
    },
  })
}

describe('a pool that was let go elsewhere', () => {
  const pool = '10.0.0.0/24'

  it('gives no address any more, not even to who held it', async () => {
    const { id } = await one.requestPool({ addressSpace, pool })
    await one.requestAddress(id, { address: '10.0.0.5', owner: 'x' })
    // The addresses are still there: who let the pool go was killed at once.
    await defaultIpam({}, { store: stopAfter(store, 1) }).releasePool(id)

    for (const ask of [
      () => one.requestAddress(id, { address: '10.0.0.5', owner: 'x' }, { with: [note('x')] }),
      () => one.requestAddress(id, { owner: 'x' }),
      () => one.releaseAddress(id, '10.0.0.5', { with: [note('x')] }),
      () => one.poolStatus?.(id),
    ]) {
      await expect(ask()).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
    }
    expect(await store.find('x')).toBeUndefined()
  })

  it('and taken anew is the new one, for everybody', async () => {
    const { id } = await one.requestPool({ addressSpace, pool })
    await one.requestAddress(id, { address: '10.0.0.5', owner: 'x' })
    await defaultIpam({}, { store: stopAfter(store, 1) }).releasePool(id)
    await other.requestPool({ addressSpace, pool })
    await other.requestAddress(id, { address: '10.0.0.5', owner: 'y' })
    await other.requestAddress(id, { address: '10.0.0.7' })

    await expect(one.requestAddress(id, { address: '10.0.0.5', owner: 'x' })).rejects.toThrow(
      code('ERR_ADDRESS_IN_USE'),
    )
    expect(await one.poolStatus?.(id)).toMatchObject({ taken: 4n })
    await one.releaseAddress(id, '10.0.0.7')
    expect(await other.requestAddress(id, { address: '10.0.0.7' })).toMatchObject({ address: '10.0.0.7/24' })
  })
})

describe('an owner without a name', () => {
  it('is nobody: what nobody holds by name is not his', async () => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/24' })
    await one.requestAddress(id, { address: '10.0.0.5' })

    await expect(one.requestAddress(id, { address: '10.0.0.5', owner: '' })).rejects.toThrow(code('ERR_ADDRESS_IN_USE'))
  })
})

describe('what a caller records with a call', () => {
  it('is recorded in the same transaction', async () => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/24' }, { with: [note('network')] })
    const { address } = await one.requestAddress(id, {}, { with: [note('endpoint')] })
    const taken = (await store.list('ipam/v1/LocalDefault/address/')).entries
    expect(taken.map(({ version }) => version)).toEqual([(await store.get('endpoint')).version])
    expect((await store.get('network')).version).toBe((await store.get('ipam/v1/LocalDefault/space')).version)

    await one.releaseAddress(id, address.replace(/\/.*/, ''), { with: [{ type: 'delete', key: 'endpoint' }] })
    await one.releasePool(id, { with: [{ type: 'delete', key: 'network' }] })

    expect((await store.list('')).entries.map(({ key }) => key)).toEqual(['ipam/v1/LocalDefault/space'])
  })

  it('is recorded with an address that its owner holds already, or was let go already', async () => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/24' })
    const first = await one.requestAddress(id, { owner: 'me' })

    expect(await one.requestAddress(id, { owner: 'me' }, { with: [note('replayed')] })).toEqual(first)
    await one.releaseAddress(id, '10.0.0.9', { with: [note('released')] })

    expect(await store.find('replayed')).toBeDefined()
    expect(await store.find('released')).toBeDefined()
  })

  it.each<[string, (id: string, operations: StoreOperation[]) => Promise<unknown>]>([
    ['a pool', (_, operations) => one.requestPool({ addressSpace, pool: '10.1.0.0/24' }, { with: operations })],
    ['an address', (id, operations) => one.requestAddress(id, {}, { with: operations })],
    ['an address by name', (id, operations) => one.requestAddress(id, { address: '10.0.0.1' }, { with: operations })],
    ['the release of an address', (id, operations) => one.releaseAddress(id, '10.0.0.5', { with: operations })],
    ['the release of a pool', (id, operations) => one.releasePool(id, { with: operations })],
  ])('stops %s when it meets with a change, and nothing was done', async (_, request) => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/24' })
    await one.requestAddress(id, { address: '10.0.0.5' })
    await store.put('record', new Uint8Array())
    const before = await keys()

    await expect(request(id, [note('record', 0)])).rejects.toMatchObject({
      code: 'ERR_VERSION_CONFLICT',
      key: 'record',
    })

    expect(await keys()).toEqual(before)
    await one.requestPool({ addressSpace, pool: '10.1.0.0/24' })
    expect(await one.requestAddress(id)).toMatchObject({ address: '10.0.0.1/24' })
    await expect(one.requestAddress(id, { address: '10.0.0.5' })).rejects.toThrow(code('ERR_ADDRESS_IN_USE'))
  })
})

describe('records that make no sense', () => {
  it.each([
    ['no JSON', '{'],
    ['no object', '7'],
    ['an incarnation that is none', '{"incarnation":"../","isHeld":true,"parts":[]}'],
    ['parts that are none', '{"incarnation":"1","isHeld":true,"parts":["10.0.0.1/24"]}'],
    ['a part of elsewhere', '{"incarnation":"1","isHeld":true,"parts":["10.9.0.0/24"]}'],
  ])('are left alone, and so is their pool: %s', async (_, text) => {
    const key = 'ipam/v1/LocalDefault/pool/4/0a000000/16'
    await store.put(key, new TextEncoder().encode(text))
    const logged: unknown[] = []
    const logger = { ...silentLogger, error: (fields: object) => void logged.push(fields) }
    const ipam = defaultIpam({}, { store, logger })

    await expect(ipam.requestPool({ addressSpace, pool: '10.0.3.0/24' })).rejects.toThrow(code('ERR_POOL_OVERLAP'))
    await expect(ipam.requestAddress('LocalDefault/10.0.0.0/16')).rejects.toThrow(code('ERR_VALUE_DAMAGED'))
    expect(await ipam.requestPool({ addressSpace, pool: '10.1.0.0/16' })).toMatchObject({ pool: '10.1.0.0/16' })
    expect(logged).toMatchObject([{ key, err: { code: 'ERR_VALUE_DAMAGED' } }])
    expect(new TextDecoder().decode((await store.get(key)).value)).toBe(text)
  })

  it('of a pool keep its parts from everybody, too', async () => {
    await store.put('ipam/v1/LocalDefault/pool/4/0a000000/16', new TextEncoder().encode('{'))

    await expect(one.requestPool({ addressSpace, pool: '10.0.0.0/16', subPool: '10.0.1.0/24' })).rejects.toThrow(
      code('ERR_VALUE_DAMAGED'),
    )
    await one.requestPool({ addressSpace, pool: '10.1.0.0/16' })
  })

  it('that somebody rewrote behind our back are read anew', async () => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/16' })
    const key = 'ipam/v1/LocalDefault/pool/4/0a000000/16'
    await store.put(key, (await store.get(key)).value)

    expect(await one.requestAddress(id)).toMatchObject({ address: '10.0.0.1/16' })
  })

  it('of an address, damaged, count as taken by somebody', async () => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/16' })
    // As a store does that can tell by its checksum, but not the version any more.
    const spoilt = new Proxy(store, {
      get: (target, name) => {
        if (name !== 'transaction') return (Reflect.get(target, name) as () => unknown).bind(target)
        return (operations: readonly StoreOperation[]) => {
          const damaged = operations.find(({ key }) => key.endsWith('0a000001'))
          if (damaged !== undefined) throw new ValueDamagedError(damaged.key, 'the checksum differs')
          return target.transaction(operations)
        }
      },
    })

    expect(await defaultIpam({}, { store: spoilt }).requestAddress(id)).toMatchObject({ address: '10.0.0.2/16' })
  })

  it('of no pool and no address mean nothing', async () => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/16' })
    const [entry] = (await store.list('ipam/v1/LocalDefault/pool/')).entries
    const { incarnation } = JSON.parse(new TextDecoder().decode(entry?.value)) as { incarnation: string }
    for (const key of ['pool/x', 'pool/4/0a000000/016', `address/${incarnation}/zz`]) {
      await store.put(`ipam/v1/LocalDefault/${key}`, new Uint8Array())
    }
    const next = defaultIpam({}, { store })

    expect(await next.requestAddress(id)).toMatchObject({ address: '10.0.0.1/16' })
    await expect(next.requestAddress('LocalDefault/10.9.0.0/16')).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
  })

  it.each([
    '{"generation":1,"uniqueLocal":"10.0.0.0/16"}',
    '{"generation":1,"uniqueLocal":"fd00::/80"}',
    `{"generation":${Number.MAX_SAFE_INTEGER},"uniqueLocal":"fd00::/48"}`,
  ])('of the address space are not worked with: %s', async (text) => {
    await store.put('ipam/v1/LocalDefault/space', new TextEncoder().encode(text))

    await expect(one.requestPool({ addressSpace })).rejects.toThrow(code('ERR_VALUE_DAMAGED'))
  })

  it('of the address space may be lost: no pool gets the addresses of another', async () => {
    const { id } = await one.requestPool({ addressSpace, pool: '10.0.0.0/24' })
    await one.requestAddress(id)
    await store.delete('ipam/v1/LocalDefault/space')

    const next = defaultIpam({}, { store })
    const second = await next.requestPool({ addressSpace, pool: '10.1.0.0/24' })
    await next.requestAddress(second.id)
    await next.releasePool(second.id)

    expect(await next.requestAddress(id)).toMatchObject({ address: '10.0.0.2/24' })
  })

  it('of the address space stop every request, and are left alone', async () => {
    await store.put('ipam/v1/LocalDefault/space', new Uint8Array([0xff]))

    await expect(one.requestPool({ addressSpace })).rejects.toThrow(code('ERR_VALUE_DAMAGED'))
  })
})
