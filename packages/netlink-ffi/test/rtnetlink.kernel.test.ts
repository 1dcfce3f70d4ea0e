import { execFileSync } from 'node:child_process'
import { mkdtempSync, openSync, closeSync, readdirSync, rmSync, existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import {
  addAddress,
  addRoute,
  createNamespace,
  deleteNamespace,
  inNamespaceAt,
  isErrno,
  countDescriptors,
  descriptorLimit,
  holdPort,
  listBoundSockets,
  listBoundSocketsOffLoop,
  raiseDescriptorLimit,
  RouteSocket,
  filterBridge,
  findInterfaceIndex,
  setBridgePort,
  setBridgePortUp,
  setLink,
  setNeighbour,
  watchRoutes,
  type RouteEvent,
} from '../src/index.ts'
import { describeKernel, enterFreshHost, ip, ipIn, SystemCallFaults } from '../src/testing/index.ts'

await enterFreshHost()

const folder = mkdtempSync(join(tmpdir(), 'netlink-ffi-'))
let count = 0
/** A fresh namespace, and a route socket in it. */
function namespace(): { path: string; routes: RouteSocket } {
  const path = join(folder, `ns${count++}`)
  return { path, routes: createNamespace(path, () => RouteSocket.open()) }
}

afterAll(() => {
  for (const file of readdirSync(folder)) deleteNamespace(join(folder, file))
  rmSync(folder, { recursive: true })
})

describeKernel('links', () => {
  it('creates a bridge with its MAC address, MTU and alias', () => {
    using routes = RouteSocket.open()

    const bridge = routes.createLink({
      kind: 'bridge',
      name: 'br-test',
      mtu: 1400,
      macAddress: '02:11:22:33:44:55',
      alias: 'net:owner',
      up: true,
    })

    expect(ip('link', 'show', 'br-test')).toMatchObject([
      {
        ifindex: bridge.index,
        mtu: 1400,
        address: '02:11:22:33:44:55',
        ifalias: 'net:owner',
        flags: expect.arrayContaining(['UP']) as unknown,
        linkinfo: { info_kind: 'bridge' },
      },
    ])
    expect(routes.getLink('br-test')).toMatchObject({ kind: 'bridge', alias: 'net:owner', mtu: 1400, up: true })
  })

  it('creates a veth whose far end is born in another namespace under its final name', () => {
    using routes = RouteSocket.open()
    const { path, routes: inside } = namespace()
    const bridge = routes.createLink({ kind: 'bridge', name: 'br-veth', up: true })
    const fd = openSync(path, 'r')

    const near = routes.createLink({
      kind: 'veth',
      name: 'vethnear',
      master: bridge.index,
      up: true,
      peer: { name: 'eth0', macAddress: '02:42:0a:00:00:02', mtu: 1300, namespaceFd: fd },
    })
    closeSync(fd)

    expect(ip('link', 'show', 'vethnear')).toMatchObject([{ ifindex: near.index, master: 'br-veth' }])
    expect(ipIn(path, 'link', 'show', 'eth0')).toMatchObject([{ address: '02:42:0a:00:00:02', mtu: 1300 }])
    inside.close()
  })

  it('refuses a name that is taken, with the error number, and leaves the other link alone', () => {
    using routes = RouteSocket.open()
    routes.createLink({ kind: 'bridge', name: 'br-taken', alias: 'first' })

    const again = (): unknown => routes.createLink({ kind: 'bridge', name: 'br-taken', alias: 'second' })

    expect(again).toThrow(expect.objectContaining({ code: 'ERR_NETLINK', kind: 'forbidden', errno: 17 }) as Error)
    expect(routes.getLink('br-taken').alias).toBe('first')
  })

  it.each(['', 'sixteen-bytes-xx', 'with space', 'with/slash', '.', 'äääääääää', 'veth%d', 'all'])(
    'refuses the name %j',
    (name) => {
      using routes = RouteSocket.open()

      expect(() => routes.createLink({ kind: 'bridge', name })).toThrow(
        expect.objectContaining({ code: 'ERR_VALUE_OUT_OF_RANGE', kind: 'bad-request' }) as Error,
      )
    },
  )

  it("carries the kernel's own words in the error", () => {
    using routes = RouteSocket.open()

    expect(() => {
      routes.apply(addRoute({ destination: '0.0.0.0/0', gateway: '10.99.0.1' }))
    }).toThrow(/RTM_NEWROUTE 0\.0\.0\.0\/0 via 10\.99\.0\.1: ENETUNREACH: .*gateway/)
  })

  it('leaves no link whose alias is refused', () => {
    using routes = RouteSocket.open()

    expect(() => routes.createLink({ kind: 'bridge', name: 'br-alias', alias: 'a'.repeat(300) })).toThrow(
      expect.objectContaining({ code: 'ERR_NETLINK' }) as Error,
    )

    expect(routes.findLink('br-alias')).toBeUndefined()
  })

  it('puts links into a group', () => {
    using routes = RouteSocket.open()

    expect(routes.createLink({ kind: 'bridge', name: 'br-group', group: 4711 })).toMatchObject({ group: 4711 })

    expect(ip('link', 'show', 'br-group')).toMatchObject([{ group: '4711' }])
  })

  it.each([undefined, true, false])('makes a bridge that learns of multicast groups, or not: %s', (snoopsMulticast) => {
    using routes = RouteSocket.open()
    const name = `br-${snoopsMulticast}`

    routes.createLink({ kind: 'bridge', name, snoopsMulticast })

    const mcast_snooping = snoopsMulticast === false ? 0 : 1
    expect(ip('link', 'show', name)).toMatchObject([{ linkinfo: { info_data: { mcast_snooping } } }])
  })

  it('finds the index of an interface by its name, in the namespace that it is asked in', () => {
    using routes = RouteSocket.open()
    const { index } = routes.createLink({ kind: 'bridge', name: 'br-index' })
    const { path } = namespace()

    expect(findInterfaceIndex('br-index')).toBe(index)
    expect(inNamespaceAt(path, () => findInterfaceIndex('br-index'))).toBeUndefined()
    expect(inNamespaceAt(path, () => findInterfaceIndex('lo'))).toBe(1)
    expect(findInterfaceIndex('a-name-that-is-too-long')).toBeUndefined()
  })

  it('says so where an index cannot be looked for, and does not say that there is none', () => {
    using faults = new SystemCallFaults()
    faults.failAt(1)

    expect(() => findInterfaceIndex('lo')).toThrow(
      expect.objectContaining({ code: 'ERR_SYSTEM_CALL', message: 'if_nametoindex: ENOMEM (lo)' }),
    )
  })

  it('disables and isolates a port of a bridge', () => {
    using routes = RouteSocket.open()
    const bridge = routes.createLink({ kind: 'bridge', name: 'br-port', up: true })
    const port = routes.createLink({
      kind: 'veth',
      name: 'vethport',
      master: bridge.index,
      up: true,
      peer: { name: 'vethpeer' },
    })

    routes.apply(setBridgePort(port.index, { state: 'disabled', isolated: true, hairpin: true }))

    expect(ip('link', 'show', 'vethport')).toMatchObject([
      { linkinfo: { info_slave_data: { state: 'disabled', isolated: true, hairpin: true } } },
    ])
  })

  it('sets a port of a bridge up, isolated, in one message', () => {
    using routes = RouteSocket.open()
    const bridge = routes.createLink({ kind: 'bridge', name: 'br-up', up: true })
    const port = routes.createLink({ kind: 'veth', name: 'vethup', master: bridge.index, peer: { name: 'vethup1' } })

    routes.apply(setBridgePortUp(port.index, { isolated: true, hairpin: true }))

    expect(ip('link', 'show', 'vethup')).toMatchObject([
      {
        flags: expect.arrayContaining(['UP']) as unknown,
        linkinfo: { info_slave_data: { isolated: true, hairpin: true } },
      },
    ])
  })

  it('has the frames of one bridge pass the packet rules', () => {
    using routes = RouteSocket.open()
    const bridge = routes.createLink({ kind: 'bridge', name: 'br-filter' })

    routes.apply(filterBridge(bridge.index))

    expect(ip('link', 'show', 'br-filter')).toMatchObject([
      { linkinfo: { info_data: { nf_call_iptables: 1, nf_call_ip6tables: 1 } } },
    ])
  })

  it('deletes links while the event loop goes on, and those that are gone without complaint', async () => {
    using routes = RouteSocket.open()
    using deleting = RouteSocket.open()
    const one = routes.createLink({ kind: 'bridge', name: 'br-one' })
    routes.createLink({ kind: 'bridge', name: 'br-two' })
    let turned = false
    setImmediate(() => {
      turned = true
    })

    await deleting.deleteLinks([one.index, 'br-two', 'br-none'])

    expect(turned).toBe(true)
    expect(routes.findLink('br-one')).toBeUndefined()
    expect(routes.findLink('br-two')).toBeUndefined()
  })

  it('lists a hundred links whole', async () => {
    const { path, routes } = namespace()
    for (let at = 0; at < 100; at++) routes.createLink({ kind: 'bridge', name: `br${at}` })

    const names = routes.listLinks().map(({ name }) => name)

    expect(names.filter((name) => name.startsWith('br'))).toHaveLength(100)
    routes.close()
    deleteNamespace(path)
    await Promise.resolve()
  })
})

describeKernel('addresses, routes and neighbours', () => {
  it('gives both families, usable at once, and reads them back', () => {
    const { path, routes } = namespace()
    using _ = routes
    const link = routes.createLink({ kind: 'bridge', name: 'br0', up: true })

    routes.apply(
      addAddress({ index: link.index, address: '10.1.0.1/24' }),
      addAddress({ index: link.index, address: 'fd00:1::1/64' }),
      addRoute({ destination: '10.2.0.0/16', gateway: '10.1.0.2' }),
      addRoute({ destination: 'fd00:2::/64', gateway: 'fd00:1::2' }),
      addRoute({ destination: '192.0.2.0/24', index: link.index }),
      setNeighbour({ index: link.index, address: '10.1.0.9', macAddress: '02:00:00:00:00:09' }),
    )

    expect(routes.listAddresses()).toEqual(
      expect.arrayContaining([
        { index: link.index, address: '10.1.0.1/24' },
        { index: link.index, address: 'fd00:1::1/64' },
      ]),
    )
    const ownAddresses = routes.listAddresses(link.index).map(({ address }) => address)
    expect(ownAddresses).toEqual(expect.arrayContaining(['10.1.0.1/24', 'fd00:1::1/64']))
    expect(ownAddresses).not.toContain('127.0.0.1/8')
    expect(routes.listAddresses(link.index + 100)).toEqual([])
    expect(routes.listRoutes()).toEqual(
      expect.arrayContaining([
        { destination: '10.1.0.0/24', index: link.index },
        { destination: '10.2.0.0/16', gateway: '10.1.0.2', index: link.index },
        { destination: '192.0.2.0/24', index: link.index },
      ]),
    )
    expect(routes.listNeighbours()).toContainEqual({
      index: link.index,
      address: '10.1.0.9',
      macAddress: '02:00:00:00:00:09',
    })
    expect(ipIn(path, 'route', 'show', '10.2.0.0/16')).toMatchObject([{ gateway: '10.1.0.2', dev: 'br0' }])
    expect(ipIn(path, '-6', 'route', 'show', 'fd00:2::/64')).toMatchObject([{ gateway: 'fd00:1::2' }])
    expect(ipIn(path, 'neigh', 'show', '10.1.0.9')).toMatchObject([
      { lladdr: '02:00:00:00:00:09', state: ['PERMANENT'] },
    ])
    const [addresses] = ipIn(path, 'addr', 'show', 'br0') as [{ addr_info: { local: string; nodad?: boolean }[] }]
    expect(addresses.addr_info.find(({ local }) => local === 'fd00:1::1')).toMatchObject({ nodad: true })
  })

  it('are those of the main table: of others the kernel tells nothing, nor of what is not unicast', () => {
    const { path, routes } = namespace()
    const { index } = routes.createLink({ kind: 'bridge', name: 'br0', up: true })
    routes.apply(addAddress({ index, address: '10.1.0.1/24' }), addAddress({ index, address: 'fd00:1::1/64' }))
    // 1000 is more than the byte of the header holds.
    for (const table of ['100', '1000']) {
      execFileSync('nsenter', [
        `--net=${path}`,
        'ip',
        'route',
        'add',
        `10.${table.length}.0.0/16`,
        'dev',
        'br0',
        'table',
        table,
      ])
      execFileSync('nsenter', [
        `--net=${path}`,
        'ip',
        '-6',
        'route',
        'add',
        `fd00:${table}::/64`,
        'dev',
        'br0',
        'table',
        table,
      ])
    }
    execFileSync('nsenter', [`--net=${path}`, 'ip', 'route', 'add', 'blackhole', '10.9.0.0/16'])

    const main = [ipIn(path, '-4', 'route'), ipIn(path, '-6', 'route')].flat() as { dst: string; type?: string }[]
    const told = routes.listRoutes().map(({ destination }) => destination)

    expect(main.map(({ dst }) => dst)).toContain('10.9.0.0/16')
    expect(told.sort()).toEqual(main.flatMap(({ dst, type }) => (type === 'blackhole' ? [] : dst)).sort())
    expect(told).toContain('fd00:1::/64')
    expect(routes.listRoutesUpTo(main.length)).toHaveLength(told.length)
    expect(routes.listRoutesUpTo(main.length - 1)).toBe('too-many')
    routes.close()
  })

  it('carries out the rest of a batch after a refusal, and throws the first', () => {
    const { routes } = namespace()
    using _ = routes

    expect(() => {
      routes.apply(addAddress({ index: 999, address: '10.1.0.1/24' }), setLink('lo', { up: true }))
    }).toThrow(expect.objectContaining({ code: 'ERR_NETLINK', request: 'RTM_NEWADDR 10.1.0.1/24 link 999' }) as Error)
    expect(routes.getLink('lo').up).toBe(true)
  })
})

describeKernel('a long list', () => {
  /** As much as thirty datagrams take. */
  const addressesIn = (path: string): void => {
    const added = Array.from({ length: 10_000 }, (_, at) => `addr add 10.9.${at >> 8}.${at & 255}/32 dev lo\n`)
    execFileSync('nsenter', [`--net=${path}`, 'ip', '-batch', '-'], { input: added.join('') })
  }

  it('is the same whether the event loop waits for it or goes on meanwhile', async () => {
    const { path, routes } = namespace()
    using all = routes
    addressesIn(path)
    using beside = inNamespaceAt(path, () => RouteSocket.open())
    let turns = 0
    const count = setInterval(() => turns++, 0)

    const [addresses, routing] = await Promise.all([all.listAddressesOffLoop(), beside.listRoutesOffLoop()])

    clearInterval(count)
    expect(addresses).toHaveLength(10_000)
    expect(addresses).toEqual(all.listAddresses())
    expect(routing).toEqual(beside.listRoutes())
    expect(turns).toBeGreaterThan(5)
  })

  it('can be given up, and the next one is whole', async () => {
    const { path, routes } = namespace()
    using all = routes
    addressesIn(path)
    const abort = new AbortController()
    const listing = all.listAddressesOffLoop({ signal: abort.signal })
    setImmediate(() => {
      abort.abort(new Error('no time'))
    })

    await expect(listing).rejects.toThrow('no time')
    using next = inNamespaceAt(path, () => RouteSocket.open())
    expect(await next.listAddressesOffLoop()).toHaveLength(10_000)
  })

  it('is not handed over where a part of it cannot be read', async () => {
    const { path, routes } = namespace()
    using all = routes
    addressesIn(path)
    using faults = new SystemCallFaults()
    faults.failAt(Infinity)
    await all.listAddressesOffLoop()
    const calls = faults.count
    expect(calls).toBeGreaterThan(10)

    for (const nth of [1, 2, 3, calls - 1, calls]) {
      using again = inNamespaceAt(path, () => RouteSocket.open())
      faults.failAt(nth)
      await expect(again.listAddressesOffLoop()).rejects.toThrow()
      faults.heal()
    }
  })
})

describeKernel('namespaces', () => {
  it('keeps a namespace alive at a path, and lets it go', () => {
    const { path, routes } = namespace()
    routes.close()

    expect(inNamespaceAt(path, () => RouteSocket.open()).listLinks()).toMatchObject([{ name: 'lo' }])

    deleteNamespace(path)
    deleteNamespace(path)
    expect(existsSync(path)).toBe(false)
  })

  it('never mounts a namespace over another, nor leaves one when the work in it fails', () => {
    const { path, routes } = namespace()
    routes.close()
    const failing = join(folder, 'failing')

    expect(() => {
      createNamespace(path, () => undefined)
    }).toThrow(/EEXIST/)
    expect(() => {
      createNamespace(failing, () => {
        throw new Error('work')
      })
    }).toThrow('work')
    expect(existsSync(failing)).toBe(false)
  })

  it('comes home when the work inside throws', () => {
    const { path, routes } = namespace()
    routes.close()
    const links = (): number => {
      using socket = RouteSocket.open()
      return socket.listLinks().length
    }
    const before = links()

    expect(() => {
      inNamespaceAt(path, () => {
        throw new Error('work')
      })
    }).toThrow('work')
    expect(links()).toBe(before)
  })

  it('says which call failed on a path that is no namespace', () => {
    const refused = (): void => {
      inNamespaceAt('/dev/null', () => undefined)
    }

    expect(refused).toThrow(/setns: EINVAL/)
    try {
      refused()
    } catch (error) {
      expect(isErrno(error, 'EINVAL')).toBe(true)
    }
  })
})

describeKernel('events', () => {
  it('reports links as they come and go, in order', async () => {
    using routes = RouteSocket.open()
    using deleting = RouteSocket.open()
    const seen: RouteEvent[] = []
    let gone: () => void = () => undefined
    const isGone = new Promise<void>((resolve) => {
      gone = resolve
    })
    using _watch = watchRoutes((event) => {
      seen.push(event)
      if (event.kind === 'link-deleted' && event.link.name === 'br-event') gone()
    })

    const { index } = routes.createLink({ kind: 'bridge', name: 'br-event', up: true })
    routes.apply(addAddress({ index, address: '10.77.0.1/24' }))
    await deleting.deleteLinks([index])
    await isGone

    const kinds = seen
      .filter((event) => ('link' in event ? event.link.name === 'br-event' : true))
      .map(({ kind }) => kind)
    expect(kinds[0]).toBe('link-changed')
    expect(seen).toContainEqual({ kind: 'address-added', address: { index, address: '10.77.0.1/24' } })
    expect(kinds.at(-1)).toBe('link-deleted')
  })
})

describeKernel('bound sockets', () => {
  it('finds who listens on a port', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }

    expect(await listBoundSocketsOffLoop('tcp')).toEqual(listBoundSockets('tcp'))
    expect(listBoundSockets('tcp')).toContainEqual(
      expect.objectContaining({ protocol: 'tcp', address: '127.0.0.1', port }),
    )

    server.close()
    await new Promise((resolve) => server.once('close', resolve))
    expect(listBoundSockets('tcp').filter((socket) => socket.port === port)).toEqual([])
  })
})

describeKernel('a held port', () => {
  it.each(['tcp', 'udp'] as const)('of %s is bound, and takes in next to nothing', (protocol) => {
    using _held = holdPort({ protocol, port: 4040 })
    using _other = holdPort({ protocol, port: 4041, address: '::1' })

    // What the kernel tells of sockets that are bound and do not listen depends on its version.
    const found = listBoundSockets(protocol).filter(({ port }) => port === 4040 || port === 4041)
    for (const { port, address, isOnlyIpv6 } of found) {
      expect({ port, address, isOnlyIpv6 }).toEqual(
        port === 4040 ? { port, address: '::', isOnlyIpv6: false } : { port, address: '::1', isOnlyIpv6: true },
      )
    }
    if (protocol === 'udp') expect(found).toHaveLength(2)
  })
})

describeKernel('the limit of descriptors', () => {
  it('is raised where the kernel allows it, and never lowered', () => {
    const { soft, hard } = descriptorLimit()
    const own = (): number[] =>
      execFileSync('prlimit', ['--pid', String(process.pid), '--nofile', '--noheadings', '--output', 'SOFT,HARD'], {
        encoding: 'utf8',
      })
        .trim()
        .split(/\s+/)
        .map(Number)
    expect(own()).toEqual([soft, hard])
    const less = Math.min(soft, hard) - 100
    execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${less}:${hard}`])

    raiseDescriptorLimit(less - 1)
    expect(own()).toEqual([less, hard])

    raiseDescriptorLimit(less + 1)
    expect(own()).toEqual([less + 1, hard])

    raiseDescriptorLimit(soft)

    expect(() => {
      raiseDescriptorLimit(2 ** 31)
    }).toThrow(expect.objectContaining({ code: 'ERR_SYSTEM_CALL', kind: 'forbidden' }) as Error)
  })

  it('is about open descriptors, which can be counted', () => {
    const before = countDescriptors()
    using _one = holdPort({ protocol: 'udp', port: 4040 })
    using _two = holdPort({ protocol: 'udp', port: 4041 })

    expect(countDescriptors() - before).toBe(2)
  })
})

describeKernel('a socket whose answers got lost', () => {
  it('says so, and works again', async () => {
    using routes = RouteSocket.open()
    using asking = RouteSocket.open()
    const { index } = routes.createLink({ kind: 'bridge', name: 'br-flood' })

    await expect(asking.filterAlive(Array<number>(2000).fill(index))).rejects.toMatchObject({
      code: 'ERR_SYSTEM_CALL',
      kind: 'no-service',
    })

    expect(await asking.filterAlive([index, 4040])).toEqual([index])
  })
})
