import { memoryStore } from '@net/datastore'
import { describeIpamDriver } from '@net/ipamapi/testing'
import type { IpamDriver, Pool } from '@net/ipamapi'
import { beforeEach, describe, expect, it } from 'vitest'
import { defaultIpam, type DefaultIpamDeps, type DefaultIpamOptions } from './index.ts'

const code = (name: string): object => expect.objectContaining({ code: name }) as object
const addressSpace = 'LocalDefault'
/** Makes the same IPv6 prefix every time: fd01:203:405::/48. */
const random = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index + 1)

const bare = (cidr: string): string => cidr.slice(0, cidr.indexOf('/'))

async function take(ipam: IpamDriver, pool: Pool, count: number, serial = false): Promise<string[]> {
  const taken: string[] = []
  while (taken.length < count) taken.push(bare((await ipam.requestAddress(pool.id, { serial })).address))
  return taken
}

/** The last address before there is none. */
async function takeAll(ipam: IpamDriver, pool: Pool): Promise<string[]> {
  const status = await ipam.poolStatus?.(pool.id)
  const taken = await take(ipam, pool, Number(status?.available))
  await expect(ipam.requestAddress(pool.id)).rejects.toThrow(code('ERR_NO_ADDRESS_AVAILABLE'))
  return taken
}

type Open = (options?: DefaultIpamOptions, deps?: DefaultIpamDeps) => IpamDriver

/** The manager keeps its records in one of two ways, which shows in nothing else. */
const managers: [string, Open][] = [
  ['in memory', defaultIpam],
  ['over a store', (options, deps) => defaultIpam(options, { ...deps, store: memoryStore() })],
]

for (const [where, open] of managers) describeIpamDriver(`default, ${where}`, () => open())

describe('defaultIpam', () => {
  it('says what it is', () => {
    expect(defaultIpam()).toMatchObject({
      name: 'default',
      addressSpaces: { local: 'LocalDefault', global: 'GlobalDefault' },
      capabilities: { requiresMacAddress: false, requiresRequestReplay: true },
    })
  })

  it.each([
    ['10.0.0.0', 24],
    ['10.0.0.0/16', 8],
    ['10.0.0.0/16', 33],
    ['fd00::/48', 129],
    ['10.0.0.0/16', 20.5],
    ['10.0.0.0/16', 0],
  ])('refuses pools of %s by %d', (base, size) => {
    expect(() => defaultIpam({ pools: [{ base, size }] })).toThrow(code('ERR_INVALID_POOL'))
  })
})

describe.each(managers)('pools, %s,', (_, open) => {
  let ipam: IpamDriver
  beforeEach(() => {
    ipam = open({}, { random })
  })
  const request = (pool: string, subPool?: string, space = addressSpace): Promise<Pool> =>
    ipam.requestPool({ addressSpace: space, pool, subPool })

  it('are named after address space, pool and sub-pool, in canonical form', async () => {
    expect((await request('10.0.0.1/16')).id).toBe('LocalDefault/10.0.0.0/16')
    expect((await request('172.27.0.0/16', '172.27.3.9/24')).id).toBe('LocalDefault/172.27.0.0/16/172.27.3.0/24')
  })

  // libnetwork: ipam.TestAddSubnets
  it('of two address spaces have nothing to do with each other', async () => {
    const one = await request('10.0.0.0/8')
    const other = await request('10.0.0.0/8', undefined, 'GlobalDefault')

    expect(one.id).not.toBe(other.id)
    await expect(request('10.128.0.0/9')).rejects.toThrow(code('ERR_POOL_OVERLAP'))
    await expect(request('10.0.0.0/8', '10.20.2.0/24')).resolves.toBeDefined()
  })

  // libnetwork: ipam.TestAddSubnets
  it('of IPv6 overlap by their prefixes, too', async () => {
    await request('1003:1:2:3:4:5:6::/112')

    await expect(request('1003:1:2:3::/64')).rejects.toThrow(code('ERR_POOL_OVERLAP'))
  })

  it('that are refused say which pool they hit', async () => {
    await request('10.1.0.0/16')
    await expect(request('10.0.0.0/8')).rejects.toThrow(
      'pool 10.0.0.0/8 overlaps with pool 10.1.0.0/16 of address space LocalDefault',
    )
    await request('10.2.0.0/16', '10.2.3.0/24')
    await expect(request('10.2.0.0/16', '10.2.3.128/25')).rejects.toThrow('overlaps with pool 10.2.3.0/24')
  })

  // libnetwork: ipam.TestOverlappingRequests
  it.each([
    [['10.0.0.0/8'], '11.0.0.0/8', true],
    [['74.0.0.0/7'], '9.111.99.72/30', true],
    [['110.192.0.0/10'], '16.0.0.0/10', true],
    [['10.0.0.0/8'], '10.0.0.0/8', false],
    [['0.0.0.0/1'], '16.182.0.0/15', false],
    [['64.0.0.0/6'], '64.0.0.0/3', false],
    [['96.0.0.0/3'], '0.0.0.0/1', false],
    [['95.0.0.0/8'], '92.0.0.0/6', false],
    [['10.0.0.0/8'], '10.0.0.0/6', false],
    [['10.0.0.0/8'], '8.0.0.0/6', false],
    [['25.173.144.0/20'], '0.0.0.0/0', false],
    [['::/0'], 'f656:3484:c878:a05:e540:a6ed:4d70:3740/123', false],
    [['f000::/4'], 'ffc7:6000::/19', false],
    [['::/6'], '::/5', false],
    [['c000::/2'], '8000::/1', false],
    [['cf80::/9'], 'c000::/4', false],
    [['ff77:93f8::/29'], '::/0', false],
    [['10.0.0.0/8', '12.0.0.0/8'], '11.0.0.0/8', true],
    [['10.0.0.0/8', '12.0.0.0/8'], '12.255.0.0/16', false],
  ])('beside %j: %s fits: %s', async (held, pool, fits) => {
    for (const text of held) await request(text)

    if (fits) await expect(request(pool)).resolves.toBeDefined()
    else await expect(request(pool)).rejects.toThrow(code('ERR_POOL_OVERLAP'))
  })

  // libnetwork: ipam.TestDoublePoolRelease, TestPoolAllocationReuse, TestSameSubnet…: the life of a pool
  it('stay for their sub-pools when they are released before them', async () => {
    const whole = await request('10.0.0.0/8')
    const part = await request('10.0.0.0/8', '10.4.0.0/16')
    await expect(request('10.0.0.0/8', '10.4.0.0/16')).rejects.toThrow(code('ERR_POOL_OVERLAP'))

    await ipam.releasePool(whole.id)
    await expect(ipam.releasePool(whole.id)).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
    await expect(request('10.0.0.0/8')).rejects.toThrow(code('ERR_POOL_OVERLAP'))
    expect(await take(ipam, part, 1)).toEqual(['10.4.0.0'])

    await ipam.releasePool(part.id)
    expect((await request('10.0.0.0/8')).id).toBe(whole.id)
  })

  it('of which only parts are held give no addresses themselves', async () => {
    await request('10.0.0.0/8', '10.4.0.0/16')

    await expect(ipam.requestAddress('LocalDefault/10.0.0.0/8')).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
  })

  it('keep an address taken through one sub-pool when another is released', async () => {
    const one = await request('10.0.0.0/8', '10.4.0.0/16')
    const other = await request('10.0.0.0/8', '10.5.0.0/16')
    await ipam.requestAddress(one.id, { address: '10.5.0.0' })
    await ipam.releasePool(other.id)

    expect(await take(ipam, await request('10.0.0.0/8', '10.5.0.0/16'), 1)).toEqual(['10.5.0.1'])
  })

  it('can be what their sub-pool is', async () => {
    const pool = await request('10.0.0.0/24', '10.0.0.0/24')

    expect(await take(ipam, pool, 1)).toEqual(['10.0.0.1'])
  })

  it.each([
    ['10.1.2.3/32', ['10.1.2.3']],
    ['192.168.0.2/31', ['192.168.0.2', '192.168.0.3']],
    ['192.168.0.4/30', ['192.168.0.5', '192.168.0.6']],
    ['fd00::7/128', ['fd00::7']],
    ['fd00::8/127', ['fd00::8', 'fd00::9']],
    ['fd00::8/126', ['fd00::9', 'fd00::a', 'fd00::b']],
  ])('of %s have the addresses %j', async (pool, expected) => {
    expect(await takeAll(ipam, await request(pool))).toEqual(expected)
  })

  it('of every prefix length give their first address', async () => {
    for (let length = 0; length <= 128; length++) {
      const pool = await request(`::/${length}`)
      expect(await take(ipam, pool, 1)).toEqual([length > 126 ? '::' : '::1'])
      await ipam.releasePool(pool.id)
    }
    for (let length = 0; length <= 32; length++) {
      const pool = await request(`0.0.0.0/${length}`)
      expect(await take(ipam, pool, 1)).toEqual([length > 30 ? '0.0.0.0' : '0.0.0.1'])
      await ipam.releasePool(pool.id)
    }
  })

  it('shorter than /64 give the very address asked for', async () => {
    const pool = await request('fd00::/8')
    const addresses = ['fd12:3456:789a:bcde:f012:3456:789a:bcde', 'fd12::1', 'fd00::1', 'fdff:ffff:ffff:ffff::']
    for (const address of addresses) {
      expect((await ipam.requestAddress(pool.id, { address })).address).toBe(`${address}/8`)
      await expect(ipam.requestAddress(pool.id, { address })).rejects.toThrow(code('ERR_ADDRESS_IN_USE'))
    }

    expect(await take(ipam, pool, 1)).toEqual(['fd00::2'])
    expect(await ipam.poolStatus?.(pool.id)).toEqual({ taken: 6n, available: 2n ** 120n - 6n })
    for (const address of addresses) await ipam.releaseAddress(pool.id, address)
    expect((await ipam.poolStatus?.(pool.id))?.taken).toBe(2n)
  })

  it('shorter than /64 hand out of sub-pools anywhere in them', async () => {
    const longer = await request('fd00::/8', 'fd12:3456:789a:bcde::/96')
    const shorter = await request('fd00::/8', 'fd20::/16')

    expect(await take(ipam, longer, 2)).toEqual(['fd12:3456:789a:bcde::', 'fd12:3456:789a:bcde::1'])
    expect(await take(ipam, shorter, 2)).toEqual(['fd20::', 'fd20::1'])
    expect((await ipam.poolStatus?.(shorter.id))?.available).toBe(2n ** 112n - 2n)
  })

  it('give the last address of a /64', async () => {
    const pool = await request('fd00::/64')

    expect((await ipam.requestAddress(pool.id, { address: 'fd00::ffff:ffff:ffff:ffff' })).address).toBe(
      'fd00::ffff:ffff:ffff:ffff/64',
    )
  })
})

describe.each(managers)('pools that nobody named, %s,', (_, open) => {
  const choose = async (ipam: IpamDriver, count = 1, space = addressSpace): Promise<string[]> => {
    const pools: string[] = []
    while (pools.length < count) pools.push((await ipam.requestPool({ addressSpace: space })).pool)
    return pools
  }

  // libnetwork: ipamutils.TestInitPoolWithMap, ipam.TestGetDefaultPools…
  it('are the 31 of the local list, in order', async () => {
    const ipam = open()

    expect(await choose(ipam, 31)).toEqual([
      ...Array.from({ length: 15 }, (_, index) => `172.${index + 17}.0.0/16`),
      ...Array.from({ length: 16 }, (_, index) => `192.168.${index * 16}.0/20`),
    ])
    await expect(choose(ipam)).rejects.toThrow(code('ERR_NO_POOL_AVAILABLE'))
  })

  it('are the 65 536 of the global list, in order', async () => {
    const ipam = open()
    const pools = await choose(ipam, 65_536, 'GlobalDefault')

    expect([pools[0], pools[256], pools[65_535]]).toEqual(['10.0.0.0/24', '10.1.0.0/24', '10.255.255.0/24'])
    expect(new Set(pools).size).toBe(65_536)
    await expect(choose(ipam, 1, 'GlobalDefault')).rejects.toThrow(code('ERR_NO_POOL_AVAILABLE'))
  })

  it('are chosen again as soon as they are released', async () => {
    const ipam = open()
    await choose(ipam, 5)
    await ipam.releasePool('LocalDefault/172.19.0.0/16')

    expect(await choose(ipam, 2)).toEqual(['172.19.0.0/16', '172.22.0.0/16'])
  })

  it('keep clear of what is excluded', async () => {
    const ipam = open()
    const exclude = ['172.17.5.0/24', '172.18.0.0/15', '172.20.0.0/14', 'fd00::/8', '0.0.0.0/4']

    expect((await ipam.requestPool({ addressSpace, exclude })).pool).toBe('172.24.0.0/16')
  })

  it('tell what stood in the way of each when there is none', async () => {
    const ipam = open({ pools: [{ base: '172.16.0.0/15', size: 16 }] })
    await ipam.requestPool({ addressSpace, pool: '172.16.0.0/16' })

    await expect(ipam.requestPool({ addressSpace, exclude: ['172.17.3.0/24'] })).rejects.toThrow(
      'no pool available in address space LocalDefault: ' +
        '172.16.0.0/16 overlaps pool 172.16.0.0/16, 172.17.0.0/16 overlaps excluded 172.17.3.0/24',
    )
  })

  it('tell it briefly, however many there are', async () => {
    const ipam = open()
    await choose(ipam, 31)

    await expect(choose(ipam)).rejects.toThrow(/^.{1,700}, and so on$/)
  })

  // libnetwork (moby): defaultipam.TestDynamicPoolAllocation
  it.each([
    [[['192.168.0.0/16', 24]], ['192.168.255.0/24'], [], '192.168.0.0/24'],
    [
      [
        ['10.0.0.0/8', 24],
        ['192.168.0.0/16', 24],
      ],
      ['10.0.0.0/8'],
      ['10.0.0.0/7'],
      '192.168.0.0/24',
    ],
    [[['192.168.0.0/16', 24]], ['192.168.0.0/24', '192.168.128.0/24'], [], '192.168.1.0/24'],
    [
      [['192.168.0.0/16', 24]],
      ['192.168.0.0/24', '192.168.1.0/24', '192.168.2.0/23', '192.168.4.0/30'],
      [],
      '192.168.5.0/24',
    ],
    [
      [['192.168.0.0/16', 24]],
      ['192.168.0.0/24', '192.168.1.0/24', '192.168.2.0/30'],
      ['192.168.2.4/30', '192.168.3.0/30', '192.168.4.0/23'],
      '192.168.6.0/24',
    ],
    [
      [
        ['10.0.0.0/31', 31],
        ['192.168.0.0/16', 24],
      ],
      ['10.0.0.0/32'],
      [],
      '192.168.0.0/24',
    ],
    [
      [
        ['10.0.0.0/16', 16],
        ['192.168.0.0/16', 24],
      ],
      ['10.0.0.0/16'],
      ['10.0.0.0/16'],
      '192.168.0.0/24',
    ],
    [[['172.16.0.0/15', 16]], ['172.16.0.0/16'], [], '172.17.0.0/16'],
    [
      [
        ['192.168.0.0/16', 24],
        ['10.0.0.0/8', 24],
      ],
      [],
      [],
      '10.0.0.0/24',
    ],
    [
      [
        ['10.0.0.0/8', 16],
        ['10.0.0.0/8', 24],
        ['10.1.0.0/16', 24],
      ],
      ['10.0.0.0/16'],
      [],
      '10.1.0.0/16',
    ],
    [[['255.255.255.0/24', 32]], ['255.255.255.0/25'], [], '255.255.255.128/32'],
    [[['172.80.0.9/16', 24]], ['172.80.0.0/24'], [], '172.80.1.0/24'],
  ] as [[string, number][], string[], string[], string][])(
    'out of %j beside %j without %j begin with %s',
    async (bases, held, exclude, expected) => {
      const ipam = open({ pools: bases.map(([base, size]) => ({ base, size })) })
      for (const pool of held) await ipam.requestPool({ addressSpace, pool })

      expect((await ipam.requestPool({ addressSpace, exclude })).pool).toBe(expected)
    },
  )

  // libnetwork: ipamutils.TestInitPoolWithMap
  it('come out of the configured pools, one after another', async () => {
    const pools = await choose(
      open({
        pools: [
          { base: '172.80.0.0/16', size: 24 },
          { base: '172.90.0.0/16', size: 24 },
        ],
      }),
      512,
    )

    expect([0, 127, 255, 256, 383, 511].map((at) => pools[at])).toEqual([
      '172.80.0.0/24',
      '172.80.127.0/24',
      '172.80.255.0/24',
      '172.90.0.0/24',
      '172.90.127.0/24',
      '172.90.255.0/24',
    ])
  })

  it('of IPv6 are links of a random unique local prefix', async () => {
    const ipam = open({}, { random })

    expect((await ipam.requestPool({ addressSpace, family: 6 })).pool).toBe('fd01:203:405::/64')
    expect((await ipam.requestPool({ addressSpace, family: 6 })).pool).toBe('fd01:203:405:1::/64')
    const [one, other] = [open(), open()]
    const pools = await Promise.all([one, other].map((each) => each.requestPool({ addressSpace, family: 6 })))
    expect(pools[0]?.pool).not.toBe(pools[1]?.pool)
  })

  it('of IPv6 come out of the configured pools when these have some, and IPv4 out of the defaults', async () => {
    const ipam = open({ pools: [{ base: 'fd00:9::/40', size: 64 }] })

    expect((await ipam.requestPool({ addressSpace, family: 6 })).pool).toBe('fd00:9::/64')
    expect((await ipam.requestPool({ addressSpace })).pool).toBe('172.17.0.0/16')
  })

  it('can come out of a base with more subnets than numbers have bits', async () => {
    const ipam = open({ pools: [{ base: '::/0', size: 128 }] })
    await ipam.requestPool({ addressSpace, pool: '::/64' })

    await expect(ipam.requestPool({ addressSpace, family: 6 })).rejects.toThrow(code('ERR_NO_POOL_AVAILABLE'))
    expect((await ipam.requestPool({ addressSpace, pool: 'fd00::/64' })).pool).toBe('fd00::/64')
  })
})

describe.each(managers)('addresses, %s,', (_, open) => {
  let ipam: IpamDriver
  beforeEach(() => {
    ipam = open()
  })
  const request = (pool: string, subPool?: string): Promise<Pool> => ipam.requestPool({ addressSpace, pool, subPool })

  // libnetwork: ipam.TestRequestReleaseAddressFromSubPool
  it('of a sub-pool are its very first and last as well', async () => {
    const pool = await request('172.28.0.0/16', '172.28.30.0/24')
    const taken = await takeAll(ipam, pool)
    expect([taken[0], taken[255]]).toEqual(['172.28.30.0', '172.28.30.255'])

    for (const serial of [false, true]) {
      await ipam.releaseAddress(pool.id, '172.28.30.97')
      expect(await take(ipam, pool, 1, serial)).toEqual(['172.28.30.97'])
    }
  })

  // libnetwork: ipam.TestSerializeRequestReleaseAddressFromSubPool
  it.each([
    [false, ['10.2.2.0'], ['10.2.2.1']],
    [true, ['10.2.2.3'], ['10.2.2.4']],
  ])('released early are given again by a request with serial %s: %j, %j', async (serial, first, second) => {
    const pool = await request('10.2.0.0/16', '10.2.2.0/24')
    await ipam.requestAddress(pool.id, { address: '10.2.2.1', serial })
    expect(await take(ipam, pool, 2, serial)).toEqual(['10.2.2.0', '10.2.2.2'])

    await ipam.releaseAddress(pool.id, '10.2.2.0')
    expect(await take(ipam, pool, 1, serial)).toEqual(first)
    await ipam.releaseAddress(pool.id, '10.2.2.1')
    expect(await take(ipam, pool, 1, serial)).toEqual(second)
  })

  it('outside a sub-pool, but inside its pool, can be asked for by name, as libnetwork does', async () => {
    const pool = await request('192.168.0.0/16', '192.168.1.0/24')

    expect((await ipam.requestAddress(pool.id, { address: '192.168.0.50' })).address).toBe('192.168.0.50/16')
    await ipam.releaseAddress(pool.id, '192.168.0.50')
  })

  // libnetwork: ipam.TestAllocateDifferentSubnets, TestRequest
  it.each([
    ['192.168.59.0/24', 254, '192.168.59.254'],
    ['192.168.240.0/20', 255, '192.168.240.255'],
    ['192.168.0.0/16', 255, '192.168.0.255'],
    ['192.168.0.0/16', 256, '192.168.1.0'],
    ['10.0.0.0/8', 256, '10.0.1.0'],
    ['192.168.128.0/18', 1023, '192.168.131.255'],
  ])('of %s: number %i is %s', async (pool, count, expected) => {
    expect((await take(ipam, await request(pool), count)).at(-1)).toBe(expected)
  })

  // libnetwork: ipam.TestRelease
  it.each(['192.168.0.1', '192.168.0.254', '192.168.1.1', '192.168.1.253', '192.168.1.254'])(
    'of a full pool: %s is free after its release, and nothing else',
    async (address) => {
      const pool = await request('192.168.0.0/23')
      await takeAll(ipam, pool)
      await ipam.releaseAddress(pool.id, address)

      expect(await takeAll(ipam, pool)).toEqual([address])
    },
  )

  it.each([
    ['10.1.0.0/29', ['10.1.0.0', '10.1.0.7'], '10.1.0.1'],
    ['fd00:1::/125', ['fd00:1::'], 'fd00:1::1'],
  ])('of %s that nobody can hold stay so after a release: %j', async (text, reserved, first) => {
    const pool = await request(text)
    for (const address of reserved) {
      await ipam.releaseAddress(pool.id, address)
      await expect(ipam.requestAddress(pool.id, { address })).rejects.toThrow(code('ERR_ADDRESS_IN_USE'))
    }

    expect(await take(ipam, pool, 1)).toEqual([first])
  })

  it('asked for by name in a full pool are not available, as libnetwork says', async () => {
    const pool = await request('10.1.0.0/30')
    await takeAll(ipam, pool)

    await expect(ipam.requestAddress(pool.id, { address: '10.1.0.1' })).rejects.toThrow(
      code('ERR_NO_ADDRESS_AVAILABLE'),
    )
  })

  // libnetwork: ipam.TestParallelAllocate…
  it.each([29, 25, 24, 21])('of a /%i are given to those who ask in a circle, each once', async (length) => {
    const pool = await request(`10.0.0.0/${length}`)
    const count = 2 ** (32 - length) - 2
    const asked = Array.from({ length: count + 10 }, () => ipam.requestAddress(pool.id, { serial: true }))
    const answers = await Promise.allSettled(asked)

    const taken = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value.address] : []))
    expect(new Set(taken).size).toBe(count)
    expect(taken).toHaveLength(count)
  })

  it('are counted for the whole pool when taken, for the sub-pool when available', async () => {
    const one = await request('10.1.0.0/24', '10.1.0.16/28')
    const other = await request('10.1.0.0/24', '10.1.0.32/28')
    await take(ipam, one, 3)
    await take(ipam, other, 1)

    expect(await ipam.poolStatus?.(one.id)).toEqual({ taken: 6n, available: 13n })
    expect(await ipam.poolStatus?.(other.id)).toEqual({ taken: 6n, available: 15n })
  })

  it('of one owner are found in the sub-pool that is asked', async () => {
    const one = await request('10.1.0.0/24', '10.1.0.16/28')
    const other = await request('10.1.0.0/24', '10.1.0.32/28')
    const owner = 'endpoint'

    expect((await ipam.requestAddress(one.id, { owner })).address).toBe('10.1.0.16/24')
    expect((await ipam.requestAddress(other.id, { owner })).address).toBe('10.1.0.32/24')
    expect((await ipam.requestAddress(one.id, { owner })).address).toBe('10.1.0.16/24')
  })
})
