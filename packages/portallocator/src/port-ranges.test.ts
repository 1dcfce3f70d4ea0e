import { createServer } from 'node:net'
import { SystemCallError, type BoundSocket } from '@net/netlink-ffi'
import { describe, expect, it } from 'vitest'
import {
  openPortAllocator,
  type PortAllocator,
  type PortAllocatorDeps,
  type PortAllocatorOptions,
  type PortLease,
} from './index.ts'

// asm-generic/errno.h
const EMFILE = 24
const EADDRINUSE = 98
const EPROTONOSUPPORT = 93

/** Books alone. */
const books = (options: PortAllocatorOptions = {}): PortAllocator =>
  openPortAllocator({ ephemeral: { first: 20_000, last: 20_019 }, hold: false, ...options })

/** Ports that are open, and an allocator that opens them there instead of in the kernel. */
function pretended(
  deps: PortAllocatorDeps & { refuse?: (port: number) => number | undefined; onOpen?: (port: number) => void } = {},
  options: PortAllocatorOptions = {},
): { ports: PortAllocator; open: Set<number> } {
  const { refuse, onOpen, ...others } = deps
  const open = new Set<number>()
  const holdPort: NonNullable<PortAllocatorDeps['holdPort']> = ({ port }) => {
    const errno = refuse?.(port)
    if (errno !== undefined) throw new SystemCallError('bind', errno)
    onOpen?.(port)
    open.add(port)
    const close = (): void => void open.delete(port)
    return { close, [Symbol.dispose]: close }
  }
  return { open, ports: openPortAllocator(options, { listBoundSockets: () => [], holdPort, ...others }) }
}

/** How often the event loop turned while some work was done. */
async function turnsDuring(work: () => Promise<void>): Promise<number> {
  let turns = 0
  const watch = (): void => {
    turns++
    next = setImmediate(watch)
  }
  let next = setImmediate(watch)
  await work()
  clearImmediate(next)
  return turns
}

const bound = (port: number, address = '::'): BoundSocket => ({
  ...{ protocol: 'tcp', port, address, inode: 1, isOnlyIpv6: false },
})

describe('several ports in a row', () => {
  it('that were chosen are refused while a lease has one of them, which is named', async () => {
    const ports = books()
    const lease = await ports.take({ protocol: 'tcp', port: 8000, count: 100 })

    expect(lease).toMatchObject({ port: 8000, count: 100, protocol: 'tcp', address: undefined })
    await expect(ports.take({ protocol: 'tcp', port: 7950, count: 51 })).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      port: 8000,
      message:
        'port is already allocated: tcp port 8000 of every address is held by another lease, of 8000-8099 on every address',
    })
    await expect(ports.take({ protocol: 'tcp', port: 8099, address: '127.0.0.1' })).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      port: 8099,
    })
    await ports.take({ protocol: 'tcp', port: 7950, count: 50 })
    await ports.take({ protocol: 'tcp', port: 8100, count: 50 })
    await ports.take({ protocol: 'udp', port: 7950, count: 51 })

    await lease.release()
    await ports.take({ protocol: 'tcp', port: 8050, count: 50 })
  })

  it('on every address of a family are in the way of one of that family only', async () => {
    const ports = books()
    await ports.take({ protocol: 'tcp', port: 8000, count: 10, address: '0.0.0.0' })

    await expect(ports.take({ protocol: 'tcp', port: 8009, address: '192.0.2.1' })).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      message: expect.stringContaining('on every address of IPv4') as string,
    })
    await ports.take({ protocol: 'tcp', port: 8000, count: 10, address: '::' })
  })

  it('that nobody chose are the next that are free together', async () => {
    const ports = books()
    await ports.take({ protocol: 'tcp', port: 20_003 })
    const firsts = []
    for (let at = 0; at < 4; at++) firsts.push((await ports.take({ protocol: 'tcp', count: 4 })).port)

    expect(firsts).toEqual([20_004, 20_008, 20_012, 20_016])
    await expect(ports.take({ protocol: 'tcp', count: 4 })).rejects.toMatchObject({
      code: 'ERR_NO_PORT_AVAILABLE',
      message: 'no 4 ports in a row are free: tcp 20000-20019',
    })
    expect((await ports.take({ protocol: 'tcp', count: 3 })).port).toBe(20_000)
  })

  it('come out of the range asked for, or not at all', async () => {
    const ports = books()

    expect(await ports.take({ protocol: 'tcp', count: 10, within: { first: 9000, last: 9009 } })).toMatchObject({
      port: 9000,
    })
    for (const within of [
      { first: 9000, last: 9009 },
      { first: 9100, last: 9108 },
    ]) {
      await expect(ports.take({ protocol: 'tcp', count: 10, within })).rejects.toMatchObject({
        code: 'ERR_NO_PORT_AVAILABLE',
      })
    }
  })

  it.each([
    [65_535, 2],
    [1, 65_536],
    [80, 0],
    [80, 1.5],
    [undefined, 65_536],
    [undefined, -1],
  ])('are refused from %s on, %d of them', async (port, count) => {
    await expect(books().take({ protocol: 'tcp', port, count })).rejects.toMatchObject({
      code: 'ERR_INVALID_PORT',
      kind: 'bad-request',
    })
  })
})

describe('held ports in a row', () => {
  it('cannot be bound by another program until they are released', async () => {
    await using ports = openPortAllocator()
    const lease = await ports.take({ protocol: 'tcp', count: 50 })

    for (const port of [lease.port, lease.port + 49]) {
      await expect(listen(port)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    }

    await lease.release()
    for (const port of [lease.port, lease.port + 49]) await listen(port)
  })

  it('are refused where another program has one of them, before any is opened', async () => {
    const { ports, open } = pretended({
      listBoundSockets: () => [bound(8100), bound(8050), bound(8060), bound(8040, '127.0.0.1')],
      onOpen: () => {
        throw new Error('opened')
      },
    })

    await expect(ports.take({ protocol: 'tcp', port: 8000, count: 100, address: '127.0.0.2' })).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      port: 8050,
    })
    expect(open.size).toBe(0)
  })

  it('are let go again when another program took one meanwhile', async () => {
    const { ports, open } = pretended({ refuse: (port) => (port === 8099 ? EADDRINUSE : undefined) })

    await expect(ports.take({ protocol: 'tcp', port: 8000, count: 100 })).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      port: 8099,
    })

    expect(open.size).toBe(0)
    expect((await ports.take({ protocol: 'tcp', port: 8000, count: 99 })).count).toBe(99)
    expect(open.size).toBe(99)
  })

  it('that nobody chose begin behind the ones that others have', async () => {
    const { ports, open } = pretended(
      { listBoundSockets: () => [bound(20_005)], refuse: (port) => (port === 20_012 ? EADDRINUSE : undefined) },
      { ephemeral: { first: 20_000, last: 20_099 } },
    )

    expect((await ports.take({ protocol: 'tcp', count: 40 })).port).toBe(20_013)
    expect([...open]).toEqual(Array.from({ length: 40 }, (_, at) => 20_013 + at))
  })

  it.each([2, 32])('are opened without a look at the ports of others, where there are %d', async (count) => {
    const { ports } = pretended({
      listBoundSockets: () => {
        throw new Error('looked')
      },
      refuse: (port) => (port === 20_005 ? EADDRINUSE : undefined),
    })

    expect(await ports.take({ protocol: 'tcp', port: 8000, count })).toMatchObject({ port: 8000, count })
    const within = { first: 20_004, last: 20_099 }
    expect(await ports.take({ protocol: 'tcp', count, within })).toMatchObject({ port: 20_006, count })
  })

  it('are refused where another lease got one of them while the ports of others were looked at', async () => {
    const { ports, open } = pretended({
      listBoundSockets: async () => {
        await ports.take({ protocol: 'tcp', port: 8050 })
        return [bound(8050)]
      },
    })

    await expect(ports.take({ protocol: 'tcp', port: 8000, count: 100 })).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      message: expect.stringContaining('another lease') as string,
    })
    expect([...open]).toEqual([8050])
  })

  it('leave the event loop its turns, however many ports are held already', async () => {
    await using ports = openPortAllocator()
    for (let at = 0; at < 3; at++) await ports.take({ protocol: 'udp', count: 1000 })
    const turns = await turnsDuring(async () => {
      for (let at = 0; at < 10; at++) await (await ports.take({ protocol: 'udp', count: 33 })).release()
    })

    expect(turns).toBeGreaterThan(20)
  })

  it('are opened and closed while the event loop turns', async () => {
    const { ports, open } = pretended({
      onOpen: () => {
        busyFor(0.2)
      },
    })

    let lease: PortLease | undefined
    const turns = await turnsDuring(async () => {
      lease = await ports.take({ protocol: 'tcp', port: 8000, count: 200 })
    })

    // 40 ms of work, of which 2 ms and one stride go by in one turn.
    expect(turns).toBeGreaterThan(5)
    expect(open.size).toBe(200)
    await Promise.all([lease!.release(), lease!.release()])
    expect(open.size).toBe(0)
  })

  it('are let go when the call is given up or the allocator closed meanwhile', async () => {
    const given = new AbortController()
    const { ports, open } = pretended({
      onOpen: (port) => {
        busyFor(0.2)
        if (port === 8100) given.abort(new Error('given up'))
        if (port === 9100) void ports.close()
      },
    })

    await expect(ports.take({ protocol: 'tcp', port: 8000, count: 200 }, { signal: given.signal })).rejects.toThrow(
      'given up',
    )
    expect(open.size).toBe(0)
    await expect(ports.take({ protocol: 'tcp', port: 9000, count: 200 })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(open.size).toBe(0)
  })

  it('exclude each other while they are opened', async () => {
    const { ports } = pretended({
      onOpen: () => {
        busyFor(0.2)
      },
    })

    const [one, other] = await Promise.allSettled([
      ports.take({ protocol: 'tcp', port: 8000, count: 100 }),
      ports.take({ protocol: 'tcp', port: 8050, count: 100 }),
    ])

    expect(one.status).toBe('fulfilled')
    expect(other).toMatchObject({ status: 'rejected', reason: { code: 'ERR_PORT_IN_USE', port: 8050 } })
  })

  it('of SCTP are booked alone where the kernel has no such sockets', async () => {
    const { ports, open } = pretended({ refuse: () => EPROTONOSUPPORT })

    const lease = await ports.take({ protocol: 'sctp', port: 8000, count: 100 })

    expect(open.size).toBe(0)
    await expect(ports.take({ protocol: 'sctp', port: 8099 })).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' })
    await lease.release()
    await ports.take({ protocol: 'sctp', port: 8099 })
  })
})

describe('more ports than sockets hold', () => {
  it('are looked for once, and one that another program has is named', async () => {
    let looks = 0
    const { ports, open } = pretended({
      listBoundSockets: () => {
        looks++
        return [bound(50_000)]
      },
    })

    const lease = await ports.take({ protocol: 'tcp', port: 1000, count: 49_000 })
    expect({ looks, open: open.size, count: lease.count }).toEqual({ looks: 1, open: 0, count: 49_000 })
    await lease.release()
    await expect(ports.take({ protocol: 'tcp', port: 1000, count: 49_001 })).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      port: 50_000,
    })
  })

  it('are as many as is chosen: none is held of a single port, or all of a thousand', async () => {
    const none = pretended({ listBoundSockets: () => [bound(8080)] }, { holdAtMost: 0 })
    await none.ports.take({ protocol: 'tcp', port: 8081 })
    expect(none.open.size).toBe(0)
    await expect(none.ports.take({ protocol: 'tcp', port: 8080 })).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' })

    const all = pretended({}, { holdAtMost: 2000 })
    await all.ports.take({ protocol: 'tcp', port: 8080, count: 2000 })
    expect(all.open.size).toBe(2000)
  })

  it('are refused on an address that the host does not have, and leave no socket on one that it has', async () => {
    await using ports = openPortAllocator({ holdAtMost: 0 })

    await expect(
      ports.take({ protocol: 'udp', port: 40_404, count: 2000, address: '192.0.2.77' }),
    ).rejects.toMatchObject({ code: 'ERR_NOT_HOST_ADDRESS', kind: 'bad-request' })

    const { ports: pretend, open } = pretended({}, { holdAtMost: 0 })
    await pretend.take({ protocol: 'udp', port: 40_404, count: 2000, address: '127.0.0.1' })
    expect(open.size).toBe(0)
  })

  it.each([-1, 65_536, 1.5, Number.NaN])('are not %d', (holdAtMost) => {
    expect(() => openPortAllocator({ holdAtMost })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_HOLD', kind: 'bad-request' }) as Error,
    )
  })
})

describe('many requests at once', () => {
  it('are all carried out, in their order, with one look at the ports of others', async () => {
    let looks = 0
    const { ports } = pretended(
      {
        listBoundSockets: () => {
          looks++
          return []
        },
      },
      { holdAtMost: 0 },
    )

    const leases = await ports.takeAll(Array.from({ length: 100 }, (_, at) => ({ protocol: 'tcp', port: 8000 + at })))

    expect(leases.map(({ port }) => port)).toEqual(Array.from({ length: 100 }, (_, at) => 8000 + at))
    expect(looks).toBe(1)
    expect(await ports.takeAll([])).toEqual([])
  })

  it('are all undone when one is refused, and none begun when one makes no sense', async () => {
    const { ports, open } = pretended()
    const many = Array.from({ length: 50 }, (_, at) => ({ protocol: 'tcp', port: 8000 + at }) as const)
    await ports.take({ protocol: 'tcp', port: 8049 })

    await expect(ports.takeAll(many)).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE', port: 8049 })
    expect([...open]).toEqual([8049])
    await expect(ports.takeAll([...many, { protocol: 'tcp', port: 0 }])).rejects.toMatchObject({
      code: 'ERR_INVALID_PORT',
    })
    expect(await ports.takeAll(many.slice(0, 49))).toHaveLength(49)
  })

  it.each([0, 1])('are all let go when the allocator is closed meanwhile, holding %d', async (holdAtMost) => {
    const { ports, open } = pretended(
      {
        listBoundSockets: () => {
          void Promise.resolve().then(() => ports.close())
          return []
        },
        onOpen: (port) => {
          if (port === 8010) void ports.close()
        },
      },
      { holdAtMost },
    )

    await expect(
      ports.takeAll(Array.from({ length: 50 }, (_, at) => ({ protocol: 'tcp', port: 8000 + at }))),
    ).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    expect(open.size).toBe(0)
  })

  it('are refused up front where all of them together take too many descriptors', async () => {
    const descriptors = {
      count: () => 100,
      limit: () => ({ soft: 200, hard: 200 }),
      raise: raiseNothing,
      makeRoom: () => Promise.resolve(),
    }
    const { ports, open } = pretended({
      descriptors,
      onOpen: () => {
        throw new Error('opened')
      },
    })
    const many = Array.from({ length: 50 }, (_, at) => ({ protocol: 'tcp', port: 8000 + at }) as const)

    await expect(ports.takeAll(many)).rejects.toMatchObject({ code: 'ERR_DESCRIPTOR_LIMIT' })
    expect(open.size).toBe(0)
  })
})

describe('the limit of descriptors', () => {
  /** A process that has 100 open. */
  const limited = (soft: number, hard: number, isRaisable = false): NonNullable<PortAllocatorDeps['descriptors']> => {
    let limit = { soft, hard }
    return {
      count: () => 100,
      limit: () => limit,
      raise(count) {
        if (count > hard && !isRaisable) throw new SystemCallError('prlimit', 1)
        limit = { soft: count, hard: Math.max(hard, count) }
      },
      makeRoom: () => Promise.resolve(),
    }
  }

  it('is raised as far as is needed, where the kernel allows it', async () => {
    for (const descriptors of [limited(200, 2000), limited(200, 200, true)]) {
      const { ports, open } = pretended({ descriptors })

      await ports.take({ protocol: 'tcp', port: 8000, count: 1000 })

      expect(open.size).toBe(1000)
      expect(descriptors.limit().soft).toBeGreaterThanOrEqual(1164)
    }
  })

  it('refuses ports up front otherwise, with both numbers', async () => {
    const { ports, open } = pretended({ descriptors: limited(200, 1024) })

    await expect(ports.take({ protocol: 'tcp', port: 8000, count: 1000 })).rejects.toMatchObject({
      code: 'ERR_DESCRIPTOR_LIMIT',
      kind: 'no-service',
      message: expect.stringMatching(/1000 ports .* 1164 descriptors, and it may have 1024/) as string,
    })

    expect(open.size).toBe(0)
    await ports.take({ protocol: 'tcp', port: 8000, count: 100 })
  })

  it('counts what was promised to others meanwhile', async () => {
    const { ports, open } = pretended({
      descriptors: limited(1024, 1024),
      onOpen: () => {
        busyFor(0.1)
      },
    })

    const [one, other] = await Promise.allSettled([
      ports.take({ protocol: 'tcp', port: 8000, count: 500 }),
      ports.take({ protocol: 'udp', port: 8000, count: 500 }),
    ])

    expect(one.status).toBe('fulfilled')
    expect(other).toMatchObject({ status: 'rejected', reason: { code: 'ERR_DESCRIPTOR_LIMIT' } })
    expect(open.size).toBe(500)
  })

  it('is told of where others reached it first, and nothing is kept', async () => {
    const { ports, open } = pretended({ refuse: (port) => (port === 8050 ? EMFILE : undefined) })

    await expect(ports.take({ protocol: 'tcp', port: 8000, count: 100 })).rejects.toMatchObject({
      code: 'ERR_DESCRIPTOR_LIMIT',
      message: expect.stringContaining('port 8050') as string,
    })
    expect(open.size).toBe(0)
  })
})

function raiseNothing(): void {
  throw new SystemCallError('prlimit', 1)
}

/** Work that a kernel under load may make of opening a socket. */
function busyFor(milliseconds: number): void {
  const start = performance.now()
  while (performance.now() - start < milliseconds);
}

function listen(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, () => {
      server.close(() => {
        resolve()
      })
    })
  })
}
