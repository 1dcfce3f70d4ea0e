import { memoryStore } from '@net/datastore'
import type { IpamDriver } from '@net/ipamapi'
import { isNetError } from '@net/types'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultIpam, type DefaultIpamOptions } from './index.ts'

const addressSpace = 'LocalDefault'

/** Pools of 10.0.0.0/24 that can be asked for, and the last octets they reach over. */
const candidates = [
  ['10.0.0.0/25', 0, 127],
  ['10.0.0.0/26', 0, 63],
  ['10.0.0.64/26', 64, 127],
  ['10.0.0.128/28', 128, 143],
  ['10.0.0.144/30', 144, 147],
  ['10.0.0.148/31', 148, 149],
  ['10.0.0.150/32', 150, 150],
  ['10.0.0.128/25', 128, 255],
] as const

const operation = fc.record({
  kind: fc.constantFrom(
    'requestPool',
    'releasePool',
    'any',
    'any',
    'any',
    'specific',
    'specific',
    'release',
    'release',
  ),
  pool: fc.nat(candidates.length - 1),
  octet: fc.nat(255),
  serial: fc.boolean(),
})

async function outcome<T>(work: Promise<T>): Promise<T | string> {
  try {
    return await work
  } catch (error) {
    if (isNetError(error)) return error.code
    throw error
  }
}

const isReserved = (first: number, last: number, octet: number): boolean =>
  last - first > 1 && (octet === first || octet === last)

/** Plays `operations` to a manager and to sets of octets at once. */
async function compare(
  ipam: IpamDriver,
  operations: readonly (typeof operation extends fc.Arbitrary<infer T> ? T : never)[],
): Promise<void> {
  /** Which octets each held pool has given away. */
  const held = new Map<number, Set<number>>()

  for (const { kind, pool: number, octet, serial } of operations) {
    const [pool, first, last] = candidates[number]!
    const poolId = `${addressSpace}/${pool}`
    const address = `10.0.0.${octet}`
    const taken = held.get(number)
    const isInside = octet >= first && octet <= last
    if (kind === 'requestPool') {
      const overlaps = [...held.keys()].some((other) => candidates[other]![1] <= last && candidates[other]![2] >= first)
      const answer = await outcome(ipam.requestPool({ addressSpace, pool }))
      expect(answer).toEqual(overlaps ? 'ERR_POOL_OVERLAP' : { id: poolId, pool, data: {} })
      if (!overlaps) held.set(number, new Set())
    } else if (kind === 'releasePool') {
      expect(await outcome(ipam.releasePool(poolId))).toBe(taken === undefined ? 'ERR_NO_SUCH_POOL' : undefined)
      held.delete(number)
    } else if (taken === undefined) {
      expect(await outcome(ipam.requestAddress(poolId))).toBe('ERR_NO_SUCH_POOL')
    } else if (kind === 'release') {
      expect(await outcome(ipam.releaseAddress(poolId, address))).toBe(
        isInside ? undefined : 'ERR_ADDRESS_OUT_OF_RANGE',
      )
      taken.delete(octet)
    } else {
      const octets = Array.from({ length: last - first + 1 }, (_, index) => first + index)
      const free = octets.filter((each) => !taken.has(each) && !isReserved(first, last, each))
      const request = kind === 'any' ? { serial } : { serial, address }
      const answer = await outcome(ipam.requestAddress(poolId, request))
      if (kind === 'specific' && !isInside) expect(answer).toBe('ERR_ADDRESS_OUT_OF_RANGE')
      else if (free.length === 0) expect(answer).toBe('ERR_NO_ADDRESS_AVAILABLE')
      else if (kind === 'specific' && !free.includes(octet)) expect(answer).toBe('ERR_ADDRESS_IN_USE')
      else {
        const given = Number((answer as { address: string }).address.split(/[./]/)[3])
        if (kind === 'specific') expect(given).toBe(octet)
        else if (serial) expect(free).toContain(given)
        else expect(given).toBe(free[0])
        taken.add(given)
      }
    }
  }
}

describe.each([
  ['in memory', (options?: DefaultIpamOptions) => defaultIpam(options)],
  ['over a store', (options?: DefaultIpamOptions) => defaultIpam(options, { store: memoryStore() })],
])('defaultIpam %s', (_, open) => {
  it('does what sets of numbers do', async () => {
    const operations = fc.array(operation, { maxLength: 400, size: 'max' })
    await fc.assert(
      fc.asyncProperty(operations, (list) => compare(open(), list)),
      { numRuns: 100 },
    )
  })

  it('does so over 100 000 operations', async () => {
    await compare(open(), fc.sample(operation, { numRuns: 100_000, seed: 7 }))
  })

  it('chooses pools that overlap nothing held and nothing excluded, lowest first', async () => {
    const cidr = fc
      .tuple(fc.nat(255), fc.integer({ min: 18, max: 30 }))
      .map(([octet, length]) => `10.0.${octet & 63}.0/${length}`)
    await fc.assert(
      fc.asyncProperty(fc.array(cidr, { maxLength: 8 }), fc.array(cidr, { maxLength: 4 }), async (pools, exclude) => {
        const ipam = open({ pools: [{ base: '10.0.0.0/18', size: 24 }] })
        // The third octets that something stands on.
        const blocked = new Set<number>()
        const block = (text: string): void => {
          const [, , third, , length] = text.split(/[./]/).map(Number)
          const size = Math.max(1, 2 ** (24 - length!))
          const from = third! - (third! % size)
          for (let octet = from; octet < from + size; octet++) blocked.add(octet)
        }
        exclude.forEach(block)
        for (const pool of pools) {
          const answer = await outcome(ipam.requestPool({ addressSpace, pool }))
          if (typeof answer !== 'string') block(answer.pool)
        }

        for (let octet = 0; octet < 64; octet++) {
          if (blocked.has(octet)) continue
          expect((await ipam.requestPool({ addressSpace, exclude })).pool).toBe(`10.0.${octet}.0/24`)
        }
        await expect(ipam.requestPool({ addressSpace, exclude })).rejects.toMatchObject({
          code: 'ERR_NO_POOL_AVAILABLE',
        })
      }),
      { numRuns: 60 },
    )
  })
})
