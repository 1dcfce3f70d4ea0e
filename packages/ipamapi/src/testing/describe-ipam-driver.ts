import { cidrsOverlap, containsAddress, parseCidr } from '@net/types'
import { beforeEach, describe, expect, it } from 'vitest'
import type { IpamDriver, Pool } from '../ipam-driver.ts'

const code = (name: string): object => expect.objectContaining({ code: name }) as object

/** The address without its prefix length. */
const bare = (cidr: string): string => cidr.slice(0, cidr.indexOf('/'))

/**
 * Describes, as vitest tests, what an address manager does. `open` gives a fresh manager that holds nothing,
 * and that has addresses to give.
 */
export function describeIpamDriver(name: string, open: () => IpamDriver | Promise<IpamDriver>): void {
  describe(`address manager ${name}`, () => {
    describePools(open)
    describeSubPools(open)
    describeAddresses(open)
    describeOwners(open)
    describeCalls(open)
  })
}

function describePools(open: () => IpamDriver | Promise<IpamDriver>): void {
  describe('pools', () => {
    let ipam: IpamDriver
    let addressSpace: string
    beforeEach(async () => {
      ipam = await open()
      addressSpace = ipam.addressSpaces.local
    })

    it('are the ones asked for, in canonical form', async () => {
      expect(await ipam.requestPool({ addressSpace, pool: '198.51.100.7/24' })).toMatchObject({
        pool: '198.51.100.0/24',
      })
      expect(await ipam.requestPool({ addressSpace, pool: 'FD00:7:0::1/64' })).toMatchObject({ pool: 'fd00:7::/64' })
    })

    it('are refused when they overlap one of the same address space', async () => {
      await ipam.requestPool({ addressSpace, pool: '10.32.0.0/12' })

      for (const pool of ['10.32.0.0/12', '10.33.0.0/16', '10.0.0.0/8']) {
        await expect(ipam.requestPool({ addressSpace, pool })).rejects.toThrow(code('ERR_POOL_OVERLAP'))
      }
    })

    it('can be asked for again once they are released', async () => {
      const { id } = await ipam.requestPool({ addressSpace, pool: '10.32.0.0/12' })
      await ipam.releasePool(id)

      expect(await ipam.requestPool({ addressSpace, pool: '10.33.0.0/16' })).toMatchObject({ pool: '10.33.0.0/16' })
    })

    it('are not there after their release', async () => {
      const { id } = await ipam.requestPool({ addressSpace, pool: '10.32.0.0/12' })
      await ipam.releasePool(id)

      await expect(ipam.releasePool(id)).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
      await expect(ipam.requestAddress(id)).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
      await expect(ipam.releaseAddress(id, '10.32.0.1')).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
    })

    it('that the manager chooses do not overlap', async () => {
      const pools = await Promise.all(Array.from({ length: 5 }, () => ipam.requestPool({ addressSpace })))

      const cidrs = pools.map(({ pool }) => parseCidr(pool))
      cidrs.forEach((one, at) => {
        expect(cidrs.slice(at + 1).some((other) => cidrsOverlap(one, other))).toBe(false)
      })
    })

    it('that the manager chooses keep clear of what is excluded', async () => {
      const first = await ipam.requestPool({ addressSpace })
      await ipam.releasePool(first.id)
      const second = await ipam.requestPool({ addressSpace, exclude: [first.pool] })

      expect(cidrsOverlap(parseCidr(first.pool), parseCidr(second.pool))).toBe(false)
    })

    it('that the manager chooses are of the family asked for', async () => {
      expect((await ipam.requestPool({ addressSpace, family: 4 })).pool).toMatch(/^[0-9.]+\//)
      expect((await ipam.requestPool({ addressSpace, family: 6 })).pool).toMatch(/^[0-9a-f:]+\//)
    })

    it.each([
      [
        'an address space it does not have',
        { addressSpace: 'nowhere', pool: '10.32.0.0/12' },
        'ERR_INVALID_ADDRESS_SPACE',
      ],
      ['an empty pool', { pool: '' }, 'ERR_INVALID_POOL'],
      ['a pool without prefix length', { pool: '10.0.0.0' }, 'ERR_INVALID_POOL'],
      ['a pool of the other family', { pool: '10.0.0.0/8', family: 6 }, 'ERR_INVALID_POOL'],
      ['a sub-pool without a pool', { subPool: '10.0.0.0/24' }, 'ERR_INVALID_SUB_POOL'],
      ['a sub-pool outside its pool', { pool: '10.32.0.0/12', subPool: '10.0.0.0/24' }, 'ERR_INVALID_SUB_POOL'],
      ['a sub-pool larger than its pool', { pool: '10.32.0.0/12', subPool: '10.0.0.0/8' }, 'ERR_INVALID_SUB_POOL'],
      ['a sub-pool that is none', { pool: '10.32.0.0/12', subPool: '10.32/16' }, 'ERR_INVALID_SUB_POOL'],
    ] as const)('are refused with %s', async (_what, request, expected) => {
      // prettier-ignore
      await expect(ipam.requestPool({ addressSpace, ...request })).rejects.toThrow(code(expected))
    })
  })
}

function describeSubPools(open: () => IpamDriver | Promise<IpamDriver>): void {
  describe('sub-pools', () => {
    let ipam: IpamDriver
    let addressSpace: string
    const pool = '10.2.0.0/16'
    beforeEach(async () => {
      ipam = await open()
      addressSpace = ipam.addressSpaces.local
    })

    it('hand out their own addresses, with the prefix length of the whole', async () => {
      const held = await ipam.requestPool({ addressSpace, pool, subPool: '10.2.3.0/28' })
      expect(held.pool).toBe(pool)

      for (let taken = 0; taken < 10; taken++) {
        const { address } = await ipam.requestAddress(held.id)
        expect(containsAddress(parseCidr('10.2.3.0/28'), parseCidr(address).address)).toBe(true)
        expect(address).toMatch(/\/16$/)
      }
    })

    it('share a pool when they do not overlap', async () => {
      const one = await ipam.requestPool({ addressSpace, pool, subPool: '10.2.3.0/24' })
      const other = await ipam.requestPool({ addressSpace, pool, subPool: '10.2.4.0/24' })
      expect(one.id).not.toBe(other.id)

      await expect(ipam.requestPool({ addressSpace, pool, subPool: '10.2.3.0/24' })).rejects.toThrow(
        code('ERR_POOL_OVERLAP'),
      )
      await expect(ipam.requestPool({ addressSpace, pool, subPool: '10.2.3.128/25' })).rejects.toThrow(
        code('ERR_POOL_OVERLAP'),
      )
      await expect(ipam.requestPool({ addressSpace, pool: '10.2.5.0/24' })).rejects.toThrow(code('ERR_POOL_OVERLAP'))
    })

    it('let the whole pool go with the last of them', async () => {
      const one = await ipam.requestPool({ addressSpace, pool, subPool: '10.2.3.0/24' })
      const other = await ipam.requestPool({ addressSpace, pool, subPool: '10.2.4.0/24' })
      await ipam.releasePool(one.id)
      await expect(ipam.requestPool({ addressSpace, pool })).rejects.toThrow(code('ERR_POOL_OVERLAP'))
      await ipam.releasePool(other.id)

      expect(await ipam.requestPool({ addressSpace, pool })).toMatchObject({ pool })
    })
  })
}

function describeAddresses(open: () => IpamDriver | Promise<IpamDriver>): void {
  describe.each(['198.51.100.0/28', 'fd00:7::/124'])('addresses of %s', (text) => {
    let ipam: IpamDriver
    let pool: Pool
    beforeEach(async () => {
      ipam = await open()
      pool = await ipam.requestPool({ addressSpace: ipam.addressSpaces.local, pool: text })
    })

    const takeAll = async (): Promise<string[]> => {
      const taken: string[] = []
      for (;;) {
        const next = await ipam.requestAddress(pool.id).catch((error: unknown) => {
          expect(error).toEqual(code('ERR_NO_ADDRESS_AVAILABLE'))
          return undefined
        })
        if (next === undefined) return taken
        taken.push(next.address)
      }
    }

    it('lie in the pool and are given once, until none is left', async () => {
      const taken = await takeAll()

      expect(taken.length).toBeGreaterThanOrEqual(12)
      expect(new Set(taken).size).toBe(taken.length)
      for (const address of taken) {
        expect(containsAddress(parseCidr(text), parseCidr(address).address)).toBe(true)
        expect(parseCidr(address).prefixLength).toBe(parseCidr(text).prefixLength)
      }
    })

    it('can be asked for by name, once', async () => {
      const first = bare((await ipam.requestAddress(pool.id)).address)
      await ipam.releaseAddress(pool.id, first)

      expect(bare((await ipam.requestAddress(pool.id, { address: first })).address)).toBe(first)
      await expect(ipam.requestAddress(pool.id, { address: first })).rejects.toThrow(code('ERR_ADDRESS_IN_USE'))
      expect(bare((await ipam.requestAddress(pool.id)).address)).not.toBe(first)
    })

    it('are given again after their release, which may be said twice', async () => {
      const taken = await takeAll()
      const middle = bare(taken[5]!)
      await ipam.releaseAddress(pool.id, middle)
      await ipam.releaseAddress(pool.id, middle)

      expect(await takeAll()).toEqual([taken[5]])
    })

    it('rest a while after their release when asked for in a circle', async () => {
      const first = await ipam.requestAddress(pool.id, { serial: true })
      await ipam.releaseAddress(pool.id, bare(first.address))

      expect((await ipam.requestAddress(pool.id, { serial: true })).address).not.toBe(first.address)
    })

    it('are not those of elsewhere', async () => {
      for (const address of ['203.0.113.1', 'fd00:8::1']) {
        await expect(ipam.requestAddress(pool.id, { address })).rejects.toThrow(code('ERR_ADDRESS_OUT_OF_RANGE'))
        await expect(ipam.releaseAddress(pool.id, address)).rejects.toThrow(code('ERR_ADDRESS_OUT_OF_RANGE'))
      }
    })

    it.each(['', '198.51.100.300', '198.51.100.03', 'fd00:7::1%eth0', ' fd00:7::1', '198.51.100.3/28'])(
      'are not written as %j',
      async (address) => {
        await expect(ipam.requestAddress(pool.id, { address })).rejects.toMatchObject({ kind: 'bad-request' })
        await expect(ipam.releaseAddress(pool.id, address)).rejects.toMatchObject({ kind: 'bad-request' })
      },
    )

    it('are counted, if the manager counts', async () => {
      const before = await ipam.poolStatus?.(pool.id)
      await ipam.requestAddress(pool.id)
      const after = await ipam.poolStatus?.(pool.id)
      if (before === undefined || after === undefined) return

      expect([after.taken - before.taken, before.available - after.available]).toEqual([1n, 1n])
    })
  })
}

function describeOwners(open: () => IpamDriver | Promise<IpamDriver>): void {
  describe('owners', () => {
    let ipam: IpamDriver
    let pool: Pool
    beforeEach(async () => {
      ipam = await open()
      pool = await ipam.requestPool({ addressSpace: ipam.addressSpaces.local, pool: '198.51.100.0/28' })
    })

    it('that ask again get the address they hold', async () => {
      const { address } = await ipam.requestAddress(pool.id, { owner: 'one' })

      expect((await ipam.requestAddress(pool.id, { owner: 'one' })).address).toBe(address)
      expect((await ipam.requestAddress(pool.id, { owner: 'one', address: bare(address) })).address).toBe(address)
    })

    it('do not get the address of another', async () => {
      const { address } = await ipam.requestAddress(pool.id, { owner: 'one' })

      expect((await ipam.requestAddress(pool.id, { owner: 'other' })).address).not.toBe(address)
      await expect(ipam.requestAddress(pool.id, { owner: 'other', address: bare(address) })).rejects.toThrow(
        code('ERR_ADDRESS_IN_USE'),
      )
    })

    it('have nothing more after its release', async () => {
      const { address } = await ipam.requestAddress(pool.id, { owner: 'one' })
      await ipam.releaseAddress(pool.id, bare(address))

      expect((await ipam.requestAddress(pool.id, { owner: 'other', address: bare(address) })).address).toBe(address)
      expect((await ipam.requestAddress(pool.id, { owner: 'one' })).address).not.toBe(address)
    })
  })
}

function describeCalls(open: () => IpamDriver | Promise<IpamDriver>): void {
  it('does nothing when the call was given up before it began', async () => {
    const ipam = await open()
    const addressSpace = ipam.addressSpaces.local
    const call = { signal: AbortSignal.abort(new Error('given up')) }
    const { id } = await ipam.requestPool({ addressSpace, pool: '10.2.0.0/16' })

    await expect(ipam.requestPool({ addressSpace, pool: '10.3.0.0/16' }, call)).rejects.toThrow('given up')
    await expect(ipam.requestAddress(id, {}, call)).rejects.toThrow('given up')
    await expect(ipam.releaseAddress(id, '10.2.0.1', call)).rejects.toThrow('given up')
    await expect(ipam.releasePool(id, call)).rejects.toThrow('given up')
    await ipam.requestPool({ addressSpace, pool: '10.3.0.0/16' })
    await ipam.releasePool(id)
  })

  it('never gives one address to two that ask at the same time', async () => {
    const ipam = await open()
    const { id } = await ipam.requestPool({ addressSpace: ipam.addressSpaces.local, pool: '10.2.0.0/16' })

    const taken = await Promise.all(Array.from({ length: 200 }, () => ipam.requestAddress(id)))

    expect(new Set(taken.map(({ address }) => address)).size).toBe(200)
  })
}
