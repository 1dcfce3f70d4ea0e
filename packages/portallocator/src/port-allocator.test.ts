import { createServer } from 'node:net'
import { createSocket } from 'node:dgram'
import { constants } from 'node:os'
import { SystemCallError } from '@net/netlink-ffi'
import { describe, expect, it } from 'vitest'
import { openPortAllocator, type PortAllocatorDeps } from './index.ts'
import { parseReserved } from './port-range.ts'

/** Books alone: what the kernel holds is another matter. */
const books = (first = 20_000, last = 20_009): ReturnType<typeof openPortAllocator> =>
  openPortAllocator({ ephemeral: { first, last }, hold: false })

describe('a port that nobody chose', () => {
  // libnetwork: portallocator.TestAllocateAllPorts
  it('comes from the range in order, until all are taken', async () => {
    const ports = books()

    const taken = []
    for (let at = 0; at < 10; at++) taken.push((await ports.take({ protocol: 'tcp' })).port)

    expect(taken).toEqual([20_000, 20_001, 20_002, 20_003, 20_004, 20_005, 20_006, 20_007, 20_008, 20_009])
    await expect(ports.take({ protocol: 'tcp' })).rejects.toMatchObject({
      code: 'ERR_NO_PORT_AVAILABLE',
      kind: 'no-service',
    })
    expect((await ports.take({ protocol: 'udp' })).port).toBe(20_000)
  })

  it('is reused only once the range has gone round', async () => {
    const ports = books()
    const first = await ports.take({ protocol: 'tcp' })
    await first.release()

    expect((await ports.take({ protocol: 'tcp' })).port).toBe(20_001)
  })

  it('is never one that was taken by name', async () => {
    const ports = books()
    await ports.take({ protocol: 'tcp', port: 20_000 })

    expect((await ports.take({ protocol: 'tcp' })).port).toBe(20_001)
  })

  it('comes from the range asked for', async () => {
    const ports = books()
    const within = { first: 8081, last: 8082 }

    expect((await ports.take({ protocol: 'tcp', within })).port).toBe(8081)
    expect((await ports.take({ protocol: 'tcp', within })).port).toBe(8082)
    await expect(ports.take({ protocol: 'tcp', within })).rejects.toMatchObject({ code: 'ERR_NO_PORT_AVAILABLE' })
  })
})

describe('a port that was chosen', () => {
  it('is refused while another lease has it, on that address or on all', async () => {
    const ports = books()
    const lease = await ports.take({ protocol: 'tcp', port: 8080, address: '127.0.0.1' })

    await expect(ports.take({ protocol: 'tcp', port: 8080, address: '127.0.0.1' })).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      kind: 'forbidden',
    })
    await expect(ports.take({ protocol: 'tcp', port: 8080 })).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' })
    await ports.take({ protocol: 'tcp', port: 8080, address: '127.0.0.2' })
    await ports.take({ protocol: 'udp', port: 8080 })

    await lease.release()
    await lease.release()
    await ports.take({ protocol: 'tcp', port: 8080, address: '127.0.0.1' })
  })

  it.each([0, -1, 65_536, 1.5, Number.NaN])('is refused when it is %s', async (port) => {
    await expect(books().take({ protocol: 'tcp', port })).rejects.toMatchObject({
      code: 'ERR_INVALID_PORT',
      kind: 'bad-request',
    })
  })

  it('is refused with a protocol that has no ports', async () => {
    await expect(books().take({ protocol: 'tcpp' as 'tcp', port: 80 })).rejects.toMatchObject({
      code: 'ERR_INVALID_PORT',
    })
  })
})

describe('a held port', () => {
  it('cannot be bound by another program, over either family, until it is released', async () => {
    const ports = openPortAllocator()
    const lease = await ports.take({ protocol: 'tcp' })

    await expect(listen(lease.port, '127.0.0.1')).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await expect(listen(lease.port, '::1')).rejects.toMatchObject({ code: 'EADDRINUSE' })

    await lease.release()
    await listen(lease.port, '127.0.0.1')
  })

  it('is refused, and nothing kept, while another program has it', async () => {
    const ports = openPortAllocator()
    const socket = createSocket('udp4')
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
    const { port } = socket.address()

    await expect(ports.take({ protocol: 'udp', port })).rejects.toMatchObject({
      code: 'ERR_PORT_IN_USE',
      port,
      process: { pid: process.pid },
      message: expect.stringContaining(`(process ${process.pid}) of this host`) as string,
    })

    await new Promise<void>((resolve) => socket.close(resolve))
    await (await ports.take({ protocol: 'udp', port })).release()
  })

  it('is passed over when nobody chose it and another program has it', async () => {
    const probe = await openPortAllocator().take({ protocol: 'tcp' })
    const within = { first: probe.port, last: probe.port + 1 }

    const lease = await openPortAllocator().take({ protocol: 'tcp', within })

    expect(lease.port).toBe(probe.port + 1)
    await probe.release()
    await lease.release()
  })

  it('is refused on an address that the host does not have', async () => {
    await expect(
      openPortAllocator().take({ protocol: 'tcp', port: 40_404, address: '192.0.2.77' }),
    ).rejects.toMatchObject({ code: 'ERR_NOT_HOST_ADDRESS', kind: 'bad-request' })
  })

  it('is let go when the allocator closes', async () => {
    const ports = openPortAllocator()
    const { port } = await ports.take({ protocol: 'tcp' })

    await ports.close()
    await ports.close()

    await listen(port, '127.0.0.1')
    await expect(ports.take({ protocol: 'tcp' })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})

describe('ranges', () => {
  it.each([
    [0, 8082],
    [8081, 8080],
    [1, 65_536],
  ])('refuses %d-%d', async (first, last) => {
    expect(() => openPortAllocator({ ephemeral: { first, last } })).toThrow(/invalid port range/)
    await expect(books().take({ protocol: 'tcp', within: { first, last } })).rejects.toMatchObject({
      code: 'ERR_INVALID_PORT_RANGE',
    })
  })

  it('reads the list of reserved ports, leaving out what is none', () => {
    expect(parseReserved('8080,9000-9010, 7 ,x,30000-,5-3,70000\n')).toEqual([
      { first: 8080, last: 8080 },
      { first: 9000, last: 9010 },
      { first: 7, last: 7 },
    ])
    expect(parseReserved('\n')).toEqual([])
  })
})

/** Listens for a moment. */
function listen(port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, host, () => {
      server.close(() => {
        resolve()
      })
    })
  })
}

describe('a port that is booked', () => {
  /** Ports of a host on which others have those of `taken`. */
  const host = (
    taken: Set<number>,
  ): { readonly ports: ReturnType<typeof openPortAllocator>; readonly held: number[] } => {
    const held: number[] = []
    const holdPort: PortAllocatorDeps['holdPort'] = ({ port }) => {
      if (taken.has(port)) throw new SystemCallError('bind', constants.errno.EADDRINUSE)
      held.push(port)
      const close = (): void => void held.splice(held.indexOf(port), 1)
      return { close, [Symbol.dispose]: close }
    }
    const ephemeral = { first: 20_000, last: 20_001 }
    return { ports: openPortAllocator({ ephemeral }, { holdPort, listBoundSockets: () => [] }), held }
  }

  it('is no other lease’s, though another program has it', async () => {
    const { ports } = host(new Set([20_000]))
    const booked = ports.book({ protocol: 'tcp', port: 20_000 })

    await expect(ports.take({ protocol: 'tcp', port: 20_000 })).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE' })
    expect(() => ports.book({ protocol: 'tcp', port: 20_000 })).toThrow(/already allocated/)
    expect((await ports.take({ protocol: 'tcp' })).port).toBe(20_001)
    await booked.release()
    expect(ports.book({ protocol: 'tcp', port: 20_000 }).port).toBe(20_000)
  })

  it('is held once the other program lets it go, and let go with the lease', async () => {
    const taken = new Set([20_000])
    const { ports, held } = host(taken)
    const booked = ports.book({ protocol: 'tcp', port: 20_000 })

    await expect(booked.hold()).rejects.toMatchObject({ code: 'ERR_PORT_IN_USE', port: 20_000 })
    taken.clear()
    expect(await Promise.all([booked.hold(), booked.hold()])).toEqual([true, true])
    expect(held).toEqual([20_000])
    await booked.release()
    expect(held).toEqual([])
    expect(await booked.hold()).toBe(false)
  })

  it('is not held by one that was let go while it was opened', async () => {
    const { ports, held } = host(new Set())
    const booked = ports.book({ protocol: 'tcp', port: 20_000, count: 2 })

    const [isHeld] = await Promise.all([booked.hold(), booked.release()])
    expect({ isHeld, held }).toEqual({ isHeld: false, held: [] })
  })
})
