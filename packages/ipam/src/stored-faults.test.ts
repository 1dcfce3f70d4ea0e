import { memoryStore, StoreUnavailableError, type Store, type StoreListing } from '@net/datastore'
import type { IpamDriver } from '@net/ipamapi'
import { silentLogger } from '@net/types'
import { beforeEach, describe, expect, it } from 'vitest'
import { defaultIpam } from './index.ts'

const addressSpace = 'LocalDefault'
const pool = '10.0.0.0/24'
const poolId = `${addressSpace}/${pool}`
const code = (name: string): object => expect.objectContaining({ code: name }) as object

type Member = 'find' | 'list' | 'put' | 'delete' | 'transaction'
/** Comes before a member of a store, and may call it or not. */
type Hook = (
  name: Member,
  argument: unknown,
  call: () => Promise<unknown>,
  options: { signal?: AbortSignal },
) => unknown

/** A store with something in front of what it does. */
function hooked(inner: Store, hook: Hook): Store {
  return new Proxy(inner, {
    get: (target, name) => {
      const member = Reflect.get(target, name) as (...args: unknown[]) => Promise<unknown>
      if (!['find', 'list', 'put', 'delete', 'transaction'].includes(String(name))) return member
      return (...args: unknown[]) => {
        const options = (name === 'put' ? args[2] : args[1]) as { signal?: AbortSignal } | undefined
        return hook(name as Member, args[0], () => member.apply(target, args), options ?? {})
      }
    },
  })
}

let store: Store
beforeEach(() => {
  store = memoryStore()
})

const keys = async (part: string): Promise<string[]> =>
  (await store.list('ipam/')).entries.map(({ key }) => key).filter((key) => key.includes(`/${part}/`))

describe('a call that is given up', () => {
  const calls: [string, (ipam: IpamDriver, signal: AbortSignal) => Promise<unknown> | undefined][] = [
    ['requestPool', (ipam, signal) => ipam.requestPool({ addressSpace, pool: '10.1.0.0/24' }, { signal })],
    ['releasePool', (ipam, signal) => ipam.releasePool(poolId, { signal })],
    ['requestAddress', (ipam, signal) => ipam.requestAddress(poolId, { owner: 'me' }, { signal })],
    ['requestAddress by name', (ipam, signal) => ipam.requestAddress(poolId, { address: '10.0.0.5' }, { signal })],
    ['releaseAddress', (ipam, signal) => ipam.releaseAddress(poolId, '10.0.0.5', { signal })],
    ['poolStatus', (ipam, signal) => ipam.poolStatus?.(poolId, { signal })],
  ]
  /** Begins a call, and gives it up once the store has been asked something that it does not answer. */
  async function giveUpAt(at: Member, nth: number, call: (typeof calls)[number][1]): Promise<unknown> {
    const controller = new AbortController()
    let seen = 0
    const slow = hooked(store, (name, _argument, go, { signal }) => {
      if (name !== at || seen++ !== nth) return go()
      queueMicrotask(() => {
        controller.abort(new Error('enough'))
      })
      return new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          reject(signal.reason as Error)
        })
      })
    })
    return call(defaultIpam({}, { store: slow }), controller.signal)?.catch((error: unknown) => error)
  }

  it.each(calls)('does not wait for a slow store: %s', async (_, call) => {
    const ipam = defaultIpam({}, { store })
    await ipam.requestPool({ addressSpace, pool })
    await ipam.requestAddress(poolId, { address: '10.0.0.5', owner: 'me' })

    expect(await giveUpAt('find', 0, call)).toEqual(new Error('enough'))
    expect(await giveUpAt('list', 0, call)).toEqual(new Error('enough'))
  })

  it.each(calls)('does not wait for another that holds the lock: %s', async (_, call) => {
    const controller = new AbortController()
    const stuck = hooked(store, () => new Promise(() => undefined))
    const ipam = defaultIpam({}, { store: stuck })
    void ipam.requestPool({ addressSpace })

    const waiting = call(ipam, controller.signal)
    controller.abort(new Error('enough'))

    await expect(waiting).rejects.toThrow('enough')
  })

  it('leaves the reading of addresses to the others who wait for it', async () => {
    await defaultIpam({}, { store }).requestPool({ addressSpace, pool })
    const controller = new AbortController()
    let answer = (): void => undefined
    const slow = hooked(store, async (name, prefix, go) => {
      if (name === 'list' && String(prefix).includes('/address/')) await new Promise<void>((go) => (answer = go))
      return go()
    })
    const ipam = defaultIpam({}, { store: slow })
    await expect(ipam.requestAddress('LocalDefault/10.9.0.0/24')).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
    const impatient = ipam.requestAddress(poolId, {}, { signal: controller.signal })
    const patient = ipam.requestAddress(poolId)

    controller.abort(new Error('enough'))
    await expect(impatient).rejects.toThrow('enough')
    answer()

    expect(await patient).toMatchObject({ address: '10.0.0.1/24' })
  })
})

describe('what is left of a released pool', () => {
  /** A pool with an address, released while nothing can be deleted. */
  async function leave(): Promise<string[]> {
    const blocked = hooked(store, (name, operations, go) => {
      const deletes =
        name === 'transaction' && (operations as { type: string }[]).every(({ type }) => type === 'delete')
      if (deletes) throw new Error('not now')
      return go()
    })
    const ipam = defaultIpam({}, { store: blocked })
    await ipam.requestPool({ addressSpace, pool })
    await ipam.requestAddress(poolId)
    await ipam.releasePool(poolId)
    return keys('doomed')
  }

  it('is deleted without keeping others from their pools', async () => {
    const asked: (() => void)[] = []
    const slow = hooked(store, async (name, prefix, go) => {
      if (name === 'list' && String(prefix).includes('/address/') && isReleased)
        await new Promise<void>((go) => asked.push(go))
      return go()
    })
    let isReleased = false
    const ipam = defaultIpam({}, { store: slow })
    await ipam.requestPool({ addressSpace, pool })
    await ipam.requestAddress(poolId)
    isReleased = true
    const releasing = ipam.releasePool(poolId)

    expect(await ipam.requestPool({ addressSpace, pool: '10.1.0.0/24' })).toMatchObject({ pool: '10.1.0.0/24' })
    expect(await ipam.requestPool({ addressSpace, pool })).toMatchObject({ pool })
    expect(asked).toHaveLength(1)
    asked.pop()?.()
    await releasing

    expect(await keys('address')).toEqual([])
  })

  it('is deleted with the next pool when it could not be at once', async () => {
    let fails = 1
    const unsure = hooked(store, (name, prefix, go) => {
      if (name === 'list' && String(prefix).includes('/owner/') && fails-- > 0) throw new Error('not now')
      return go()
    })
    const errors: object[] = []
    const logger = { ...silentLogger, error: (fields: object) => void errors.push(fields) }
    const ipam = defaultIpam({}, { store: unsure, logger })
    await ipam.requestPool({ addressSpace, pool })
    await ipam.requestAddress(poolId)
    await ipam.releasePool(poolId)
    expect(await keys('doomed')).toHaveLength(1)
    expect(errors).toHaveLength(1)

    await ipam.requestPool({ addressSpace, pool: '10.1.0.0/24' })

    expect([...(await keys('doomed')), ...(await keys('address'))]).toEqual([])
  })

  it('is found by the next who opens the store, though the note of it is damaged', async () => {
    const notes = await leave()
    const damaging = hooked(store, async (name, prefix, go) => {
      const listing = (await go()) as StoreListing
      if (name !== 'list' || !String(prefix).includes('/doomed/')) return listing
      return { ...listing, entries: [], damaged: listing.entries.map(({ key }) => key) }
    })
    expect(notes).toHaveLength(1)

    await defaultIpam({}, { store: damaging }).requestPool({ addressSpace, pool: '10.1.0.0/24' })

    expect([...(await keys('doomed')), ...(await keys('address'))]).toEqual([])
  })

  it('is looked for again when it could not be listed', async () => {
    await leave()
    let fails = 1
    const unsure = hooked(store, (name, prefix, go) => {
      if (name === 'list' && String(prefix).includes('/doomed/') && fails-- > 0) throw new Error('not now')
      return go()
    })
    const ipam = defaultIpam({}, { store: unsure })
    await ipam.requestPool({ addressSpace, pool: '10.1.0.0/24' })
    expect(await keys('doomed')).toHaveLength(1)

    await ipam.requestPool({ addressSpace, pool: '10.2.0.0/24' })

    expect([...(await keys('doomed')), ...(await keys('address'))]).toEqual([])
  })
})

describe('a full pool', () => {
  it('is read once for all who ask at the same time', async () => {
    let lists = 0
    const counted = hooked(store, (name, _argument, go) => {
      if (name === 'list') lists++
      return go()
    })
    const ipam = defaultIpam({}, { store: counted })
    const { id } = await ipam.requestPool({ addressSpace, pool: '10.0.0.0/29' })
    for (let at = 0; at < 6; at++) await ipam.requestAddress(id)
    lists = 0

    const answers = await Promise.allSettled(Array.from({ length: 300 }, () => ipam.requestAddress(id)))

    expect(answers.filter(({ status }) => status === 'fulfilled')).toEqual([])
    expect(lists).toBe(1)
  })

  it('gives what was let go before it was asked, though a reading was under way', async () => {
    const reads: (() => void)[] = []
    let isSlow = false
    const slow = hooked(store, async (name, _argument, go) => {
      const answer = await go()
      if (name === 'list' && isSlow) await new Promise<void>((go) => reads.push(go))
      return answer
    })
    const ipam = defaultIpam({}, { store: slow })
    const { id } = await ipam.requestPool({ addressSpace, pool: '10.0.0.0/30' })
    for (let at = 0; at < 2; at++) await ipam.requestAddress(id)
    isSlow = true
    const early = ipam.requestAddress(id)
    while (reads.length === 0) await new Promise((resolve) => setImmediate(resolve))
    await defaultIpam({}, { store }).releaseAddress(id, '10.0.0.2')
    const late = ipam.requestAddress(id)
    isSlow = false
    for (const go of reads) go()

    await expect(early).rejects.toThrow(code('ERR_NO_ADDRESS_AVAILABLE'))
    expect(await late).toMatchObject({ address: '10.0.0.2/30' })
  })
})

describe('a request in a circle that fails', () => {
  const taken = { type: 'put', key: 'taken', value: new Uint8Array(), ifVersion: 0 } as const

  it.each(['10.0.0.0/24', 'fd00::/48'])('does not move on, in %s', async (pool) => {
    const ipam = defaultIpam({}, { store })
    const { id } = await ipam.requestPool({ addressSpace, pool })
    await store.put('taken', new Uint8Array())
    const serial = async (): Promise<string> => (await ipam.requestAddress(id, { serial: true })).address
    const first = [await serial(), await serial()]

    const failing = Array.from({ length: 3 }, () => ipam.requestAddress(id, { serial: true }, { with: [taken] }))
    for (const request of failing) await expect(request).rejects.toThrow(code('ERR_VERSION_CONFLICT'))

    await ipam.releaseAddress(id, first[0]!.slice(0, first[0]!.indexOf('/')))
    const byName = ipam.requestAddress(id, { address: first[0]!.slice(0, first[0]!.indexOf('/')) }, { with: [taken] })
    await expect(byName).rejects.toThrow(code('ERR_VERSION_CONFLICT'))

    expect([...first, await serial()].map((address) => address.replace(/.*[.:](\d+)\/.*/, '$1'))).toEqual([
      '1',
      '2',
      '3',
    ])
  })
})

describe('a pool of which it is not known whether it was taken', () => {
  const unknown = new StoreUnavailableError('the store', 'the line broke', 'unknown')
  let isBroken = false
  let isWritten = true
  /** A store that breaks off while it writes, and can be read again or not. */
  const breaking = (isReadable: boolean): Store =>
    hooked(store, async (name, _argument, go) => {
      if (!isBroken) return go()
      if (name === 'transaction') {
        if (isWritten) await go()
        if (isReadable) isBroken = false
        throw unknown
      }
      throw new StoreUnavailableError('the store', 'the line is broken', 'none')
    })
  beforeEach(() => {
    isBroken = false
    isWritten = true
  })

  it('is given when it is found to be', async () => {
    const ipam = defaultIpam({}, { store: breaking(true) })
    await ipam.requestPool({ addressSpace, pool: '10.9.0.0/24' })
    isBroken = true

    const { id } = await ipam.requestPool({ addressSpace, pool })

    expect(await ipam.requestAddress(id)).toMatchObject({ address: '10.0.0.1/24' })
  })

  it('is refused when it is found not to be', async () => {
    const ipam = defaultIpam({}, { store: breaking(true) })
    await ipam.requestPool({ addressSpace, pool: '10.9.0.0/24' })
    isBroken = true
    isWritten = false

    await expect(ipam.requestPool({ addressSpace, pool })).rejects.toBe(unknown)
    expect(await keys('pool')).toHaveLength(1)
  })

  it('is let go when it could not be found out in time', async () => {
    const ipam = defaultIpam({}, { store: breaking(false) })
    await ipam.requestPool({ addressSpace, pool: '10.9.0.0/24' })
    isBroken = true
    await expect(ipam.requestPool({ addressSpace })).rejects.toBe(unknown)
    expect(await keys('pool')).toHaveLength(2)
    isBroken = false

    await ipam.requestPool({ addressSpace, pool: '10.9.1.0/24' })

    const held = await keys('pool')
    expect(held.map((key) => key.replace(/.*\/4\//, ''))).toEqual(['0a090000/24', '0a090100/24'])
  })

  it('is let go when it is taken after somebody looked', async () => {
    let late: (() => Promise<unknown>) | undefined
    const slow = hooked(store, (name, _argument, go) => {
      if (name !== 'transaction' || late !== undefined) return go()
      late = go
      throw unknown
    })
    const ipam = defaultIpam({}, { store: slow })
    await expect(ipam.requestPool({ addressSpace, pool })).rejects.toBe(unknown)
    await late?.()
    expect(await keys('pool')).toHaveLength(1)

    await ipam.requestPool({ addressSpace, pool: '10.9.1.0/24' })

    expect((await keys('pool')).map((key) => key.replace(/.*\/4\//, ''))).toEqual(['0a090100/24'])
    expect(await keys('doomed')).toEqual([])
  })

  it('is left to a caller who recorded it with the call', async () => {
    const ipam = defaultIpam({}, { store: breaking(false) })
    await ipam.requestPool({ addressSpace, pool: '10.9.0.0/24' })
    isBroken = true
    const note = { type: 'put', key: 'network', value: new Uint8Array() } as const
    await expect(ipam.requestPool({ addressSpace, pool }, { with: [note] })).rejects.toBe(unknown)
    isBroken = false

    await ipam.requestPool({ addressSpace, pool: '10.9.1.0/24' })

    expect(await ipam.requestAddress(poolId)).toMatchObject({ address: '10.0.0.1/24' })
  })
})

describe('a damaged record', () => {
  it('is reported once, however often it is read', async () => {
    const key = 'ipam/v1/LocalDefault/pool/4/0a000000/24'
    await store.put(key, new Uint8Array())
    const damaging = hooked(store, async (name, prefix, go) => {
      const answer = await go()
      if (name !== 'list' || !String(prefix).endsWith('/pool/')) return answer
      const { entries, ...rest } = answer as StoreListing
      return { ...rest, entries: entries.filter((entry) => entry.key !== key), damaged: [key] }
    })
    const logged: object[] = []
    const logger = { ...silentLogger, error: (fields: object) => void logged.push(fields) }
    const ipam = defaultIpam({}, { store: damaging, logger })

    for (let at = 1; at < 4; at++) {
      await defaultIpam({}, { store })
        .requestPool({ addressSpace, pool: `10.${at}.0.0/24` })
        .catch(() => undefined)
      await ipam.requestAddress(`${addressSpace}/10.99.0.0/24`).catch(() => undefined)
    }

    expect(logged).toMatchObject([{ key }])
  })
})
