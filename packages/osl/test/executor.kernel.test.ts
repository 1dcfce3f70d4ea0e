import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Firewall, FirewallChange, JoinPlan, NetworkPlan, SandboxLink } from '@net/driverapi'
import { RouteSocket, setLink } from '@net/netlink-ffi'
import {
  DescriptorShortage,
  describeKernel,
  enterFreshHost,
  ip,
  ipIn,
  SystemCallFaults,
} from '@net/netlink-ffi/testing'
import { NetError, silentLogger } from '@net/types'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { Executor, inSandbox } from '../src/index.ts'

await enterFreshHost()

const folder = mkdtempSync(join(tmpdir(), 'osl-'))
let count = 0
const freshKey = (): string => join(folder, `sandbox${count++}`)

/** A firewall that remembers, and refuses when told to: the rules themselves are another package's matter. */
class RecordingFirewall implements Firewall {
  readonly changes: FirewallChange[] = []
  refuse = false

  change(change: FirewallChange): Promise<void> {
    if (this.refuse && change.add !== undefined) {
      return Promise.reject(new NetError('refused', { code: 'ERR_REFUSED', kind: 'forbidden' }))
    }
    this.changes.push(change)
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

let firewall = new RecordingFirewall()
let executor: Executor
beforeEach(() => {
  firewall = new RecordingFirewall()
  executor = Executor.open({ owner: 'net:test' }, { firewall })
  return async () => {
    await executor.close()
  }
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** The host's links, as `ip` sees them. */
const hostLinks = (): string[] => (ip('link', 'show') as { ifname: string }[]).map(({ ifname }) => ifname)

function networkPlan(bridge: string, changes: Partial<NetworkPlan> = {}): NetworkPlan {
  return {
    links: [
      {
        kind: 'bridge',
        name: bridge,
        macAddress: '02:42:00:00:00:01',
        mtu: 1400,
        addresses: ['10.20.0.1/24', 'fd20::1/64'],
      },
    ],
    sysctls: [{ path: `net/ipv4/conf/${bridge}/route_localnet`, value: '1' }],
    firewall: [{ kind: 'network', bridge, internal: false, interContainer: true, masquerade: [4, 6] }],
    ...changes,
  }
}

function joinPlan(bridge: string, hostName: string, link: Partial<SandboxLink> = {}): JoinPlan {
  return {
    sandbox: {
      links: [
        {
          create: { kind: 'veth', hostName, master: bridge },
          name: 'eth0',
          macAddress: '02:42:0a:14:00:02',
          mtu: 1400,
          addresses: ['10.20.0.2/24', 'fd20::2/64'],
          routes: [{ destination: '192.0.2.0/24', gateway: '10.20.0.9' }],
          neighbours: [{ address: '10.20.0.9', macAddress: '02:00:00:00:00:09' }],
          sysctls: [{ path: 'net/ipv6/conf/eth0/accept_ra', value: '0' }],
          ...link,
        },
      ],
      gateways: { ipv4: '10.20.0.1', ipv6: 'fd20::1' },
    },
    firewall: [{ kind: 'port', protocol: 'tcp', hostPort: 80, containerAddress: '10.20.0.2', containerPort: 80 }],
    ports: [],
  }
}

describeKernel('an executor', () => {
  it('leaves no descriptor behind when it cannot be opened, whichever it lacks', async () => {
    let opened: Executor | undefined
    for (let count = 0; opened === undefined; count++) {
      using shortage = new DescriptorShortage()
      shortage.giveBack(count)
      try {
        opened = Executor.open({ owner: 'net:test' }, { firewall })
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_SYSTEM_CALL', kind: 'no-service' })
        expect(shortage.takeAll()).toBe(count)
      }
    }
    await opened.close()
  })
})

describeKernel('a network plan', () => {
  it('becomes a bridge with its addresses, settings and rules, and goes again', async () => {
    const plan = networkPlan('br-plan')

    await executor.createNetwork(plan)

    expect(ip('addr', 'show', 'br-plan')).toMatchObject([
      {
        address: '02:42:00:00:00:01',
        mtu: 1400,
        ifalias: 'net:test',
        flags: expect.arrayContaining(['UP']) as unknown,
        addr_info: expect.arrayContaining([
          expect.objectContaining({ local: '10.20.0.1', prefixlen: 24 }),
          expect.objectContaining({ local: 'fd20::1', prefixlen: 64, nodad: true }),
        ]) as unknown,
      },
    ])
    expect(readFileSync('/proc/sys/net/ipv4/conf/br-plan/route_localnet', 'utf8')).toBe('1\n')
    expect(firewall.changes).toEqual([{ add: plan.firewall }])

    await executor.deleteNetwork(plan)
    await executor.deleteNetwork(plan)

    expect(hostLinks()).not.toContain('br-plan')
    expect(firewall.changes[1]).toEqual({ remove: plan.firewall })
  })

  it.each([
    [
      'a setting is refused',
      { sysctls: [{ path: 'net/ipv4/conf/br-undo/route_localnet', value: 'many' }] },
      'ERR_SYSCTL',
    ],
    ['a setting is not there', { sysctls: [{ path: 'net/ipv4/no_such_thing', value: '1' }] }, 'ERR_SYSCTL'],
    [
      'an address is refused',
      {
        links: [
          {
            kind: 'bridge',
            name: 'br-undo',
            macAddress: '02:42:00:00:00:02',
            addresses: ['10.9.0.1/24', '10.9.0.1/24'],
          },
        ],
      },
      'ERR_NETLINK',
    ],
    [
      'the second link is refused',
      {
        links: [
          { kind: 'bridge', name: 'br-undo', macAddress: '02:42:00:00:00:02', addresses: [] },
          { kind: 'bridge', name: 'lo', macAddress: '02:42:00:00:00:03', addresses: [] },
        ],
      },
      'ERR_INTERFACE_EXISTS',
    ],
  ] as const)('leaves nothing when %s', async (_, changes, code) => {
    const before = hostLinks()

    await expect(executor.createNetwork(networkPlan('br-undo', changes))).rejects.toMatchObject({ code })

    expect(hostLinks()).toEqual(before)
    expect(firewall.changes).toEqual([])
  })

  it('says which of the two names of an interface is taken, the one in the sandbox or the one on the host', async () => {
    const key = freshKey()
    const network = networkPlan('br-names')
    await executor.createNetwork(network)
    await executor.createSandbox(key)
    ip('link', 'add', 'vethtaken', 'type', 'bridge')

    await expect(executor.join(key, joinPlan('br-names', 'vethfree', { name: 'lo' }))).rejects.toThrow('interface lo ')
    await expect(executor.join(key, joinPlan('br-names', 'vethtaken'))).rejects.toThrow('interface vethtaken ')

    ip('link', 'del', 'vethtaken')
    await executor.deleteSandbox(key, [])
    await executor.deleteNetwork(network)
  })

  it('leaves nothing when the rules are refused', async () => {
    firewall.refuse = true

    await expect(executor.createNetwork(networkPlan('br-undo'))).rejects.toMatchObject({ code: 'ERR_REFUSED' })

    expect(hostLinks()).not.toContain('br-undo')
  })

  it("never takes away a link of that name that is somebody else's", async () => {
    using routes = RouteSocket.open()
    const { index } = routes.createLink({ kind: 'bridge', name: 'br-foreign', alias: 'somebody' })

    await expect(executor.createNetwork(networkPlan('br-foreign'))).rejects.toMatchObject({
      code: 'ERR_INTERFACE_EXISTS',
      kind: 'forbidden',
      message: 'interface br-foreign exists already',
    })
    await executor.deleteNetwork(networkPlan('br-foreign'))

    expect(routes.getLink('br-foreign')).toMatchObject({ index, alias: 'somebody' })
  })

  it("does not take a bridge out of a group of somebody else's, neither when it comes nor when it goes", async () => {
    using routes = RouteSocket.open()
    const { index } = routes.createLink({ kind: 'bridge', name: 'br-group', group: 42 })
    const plan = networkPlan('br-group', { links: [{ kind: 'existing-bridge', name: 'br-group', addresses: [] }] })

    await expect(executor.createNetwork(plan)).rejects.toMatchObject({
      ...{ code: 'ERR_BRIDGE_GROUPED', kind: 'forbidden' },
      message: 'bridge br-group is in link group 42: expected one in no group, for networks have their own',
    })
    expect(routes.getLink(index).group).toBe(42)

    routes.apply(setLink(index, { group: 0 }))
    await executor.createNetwork({ ...plan, sysctls: [] })
    routes.apply(setLink(index, { group: 43 }))
    await executor.deleteNetwork(plan)
    expect(routes.getLink(index).group).toBe(43)
    await routes.deleteLinks([index])
  })

  it('is not begun when the call was given up', async () => {
    await expect(
      executor.createNetwork(networkPlan('br-given-up'), { signal: AbortSignal.abort(new Error('enough')) }),
    ).rejects.toThrow('enough')
    expect(hostLinks()).not.toContain('br-given-up')
  })
})

describeKernel('a join plan', () => {
  it('becomes an interface with addresses, routes, neighbours and settings, and goes again', async () => {
    const key = freshKey()
    const network = networkPlan('br-join')
    const plan = joinPlan('br-join', 'vethjoin')
    await executor.createNetwork(network)
    await executor.createSandbox(key)

    await executor.join(key, plan)

    expect(ipIn(key, 'addr', 'show', 'eth0')).toMatchObject([
      {
        address: '02:42:0a:14:00:02',
        mtu: 1400,
        operstate: 'UP',
        addr_info: expect.arrayContaining([
          expect.objectContaining({ local: '10.20.0.2' }),
          expect.objectContaining({ local: 'fd20::2', nodad: true }),
        ]) as unknown,
      },
    ])
    expect(ipIn(key, 'addr', 'show', 'lo')).toMatchObject([{ flags: expect.arrayContaining(['UP']) as unknown }])
    expect(ipIn(key, 'route', 'show')).toMatchObject(
      expect.arrayContaining([
        expect.objectContaining({ dst: 'default', gateway: '10.20.0.1' }),
        expect.objectContaining({ dst: '192.0.2.0/24', gateway: '10.20.0.9' }),
      ]) as never,
    )
    expect(ipIn(key, '-6', 'route', 'show', 'default')).toMatchObject([{ gateway: 'fd20::1' }])
    expect(ipIn(key, 'neigh', 'show', '10.20.0.9')).toMatchObject([{ lladdr: '02:00:00:00:00:09' }])
    expect(ip('link', 'show', 'vethjoin')).toMatchObject([
      { master: 'br-join', ifalias: 'net:test', mtu: 1400, linkinfo: { info_slave_data: { state: 'forwarding' } } },
    ])
    expect(inSandbox(key, () => readFileSync('/proc/sys/net/ipv6/conf/eth0/accept_ra', 'utf8'))).toBe('0\n')

    await executor.leave(key, plan)
    await executor.leave(key, plan)
    expect(hostLinks()).not.toContain('vethjoin')
    expect(ipIn(key, 'link', 'show')).toMatchObject([{ ifname: 'lo' }])
    expect(ip('link', 'show', 'br-join')).toMatchObject([{ mtu: 1400 }])

    await executor.deleteSandbox(key, [])
    await executor.deleteNetwork(network)
    expect(existsSync(key)).toBe(false)
  })

  it.each([
    ['a setting is refused', { sysctls: [{ path: 'net/ipv6/conf/eth0/accept_ra', value: 'x' }] }, 'ERR_SYSCTL'],
    ['an address is refused', { addresses: ['10.20.0.2/24', '10.20.0.2/24'] }, 'ERR_NETLINK'],
    ['a route is refused', { routes: [{ destination: '192.0.2.0/24', gateway: '10.99.0.1' }] }, 'ERR_NETLINK'],
    ['its name is taken in the sandbox', { name: 'lo' }, 'ERR_INTERFACE_EXISTS'],
    ['its bridge is gone', { create: { kind: 'veth', hostName: 'vethundo', master: 'br-none' } }, 'ERR_LINK_NOT_FOUND'],
  ] as const)('leaves nothing when %s', async (_, link, code) => {
    const key = freshKey()
    const network = networkPlan('br-undo2')
    await executor.createNetwork(network)
    await executor.createSandbox(key)
    const before = hostLinks()

    await expect(executor.join(key, joinPlan('br-undo2', 'vethundo', link))).rejects.toMatchObject({ code })

    expect(hostLinks()).toEqual(before)
    expect(ipIn(key, 'link', 'show')).toMatchObject([{ ifname: 'lo' }])
    await executor.deleteSandbox(key, [])
    await executor.deleteNetwork(network)
  })

  it('leaves nothing when the rules are refused', async () => {
    const key = freshKey()
    const network = networkPlan('br-undo3')
    await executor.createNetwork(network)
    await executor.createSandbox(key)
    firewall.refuse = true

    await expect(executor.join(key, joinPlan('br-undo3', 'vethrules'))).rejects.toMatchObject({ code: 'ERR_REFUSED' })

    expect(hostLinks()).not.toContain('vethrules')
    expect(ipIn(key, 'link', 'show')).toMatchObject([{ ifname: 'lo' }])
    await executor.deleteSandbox(key, [])
    await executor.deleteNetwork(network)
  })
})

describeKernel('a sandbox', () => {
  it('is refused where one is already', async () => {
    const key = freshKey()
    await executor.createSandbox(key)

    await expect(executor.createSandbox(key)).rejects.toMatchObject({ code: 'ERR_SANDBOX_EXISTS', kind: 'forbidden' })

    await executor.deleteSandbox(key, [])
    await executor.deleteSandbox(key, [])
  })

  it('is said not to be there when it is not', async () => {
    await expect(executor.join(freshKey(), joinPlan('lo', 'vethnone'))).rejects.toMatchObject({
      code: 'ERR_SANDBOX_NOT_FOUND',
      kind: 'not-found',
    })
  })

  it('is not taken for one that is gone while it cannot be looked into', async () => {
    const key = freshKey()
    await executor.createSandbox(key)
    const wanted = { networks: [], joins: [], keys: [key] }
    {
      using shortage = new DescriptorShortage()
      // For the way there and the way home, and none for a socket.
      shortage.giveBack(2)
      await expect(executor.inspect(wanted)).rejects.toMatchObject({ code: 'ERR_SYSTEM_CALL', kind: 'no-service' })
    }

    await executor.deleteSandbox(key, [])
    expect((await executor.inspect(wanted)).differences).toMatchObject([{ subject: `namespace ${key}` }])
  })

  it('loses its link to the host even while a program keeps its namespace alive', async () => {
    const key = freshKey()
    const network = networkPlan('br-alive')
    const plan = joinPlan('br-alive', 'vethalive')
    await executor.createNetwork(network)
    await executor.createSandbox(key)
    await executor.join(key, plan)
    const program = inSandbox(key, () => spawn('cat', [], { stdio: ['pipe', 'ignore', 'ignore'] }))
    await once(program, 'spawn')

    await executor.deleteSandbox(key, [plan])
    expect(portState('vethalive')).not.toBe('forwarding')
    await executor.settle()

    expect(hostLinks()).not.toContain('vethalive')
    program.stdin.end()
    await once(program, 'exit')
    await executor.deleteNetwork(network)
  })
})

describeKernel('a sandbox that is taken away', () => {
  it('stays silent though a program in it takes its link down and up again', async () => {
    const key = freshKey()
    const network = networkPlan('br-mute')
    const plan = joinPlan('br-mute', 'vethmute')
    await executor.createNetwork(network)
    await executor.createSandbox(key)
    await executor.join(key, plan)
    expect(portState('vethmute')).toBe('forwarding')
    using inside = inSandbox(key, () => RouteSocket.open())
    const { index } = inside.getLink('eth0')

    await executor.deleteSandbox(key, [plan])
    inside.apply(setLink(index, { up: false }))
    await expect.poll(() => operationalState('vethmute')).not.toBe('DORMANT')
    inside.apply(setLink(index, { up: true }))
    await expect.poll(() => operationalState('vethmute')).toBe('DORMANT')

    expect(portState('vethmute')).toBe('disabled')
    await executor.settle()
    await executor.deleteNetwork(network)
  })
})

describeKernel('a change of packet rules', () => {
  it('stands, and says so, when the kernel would not end the flows that it made stale', async () => {
    const error = vi.fn()
    const logging = Executor.open({ owner: 'net:test' }, { firewall, logger: { ...silentLogger, error } })
    const address = { containerAddress: '10.20.0.2', containerPort: 53 }
    const change: FirewallChange = { remove: [{ kind: 'port', protocol: 'udp', hostPort: 53, ...address }] }
    {
      using faults = new SystemCallFaults()
      faults.failAt(1)
      await logging.changeFirewall(change)
      expect(faults.failed).toBe('send')
    }

    expect(firewall.changes).toEqual([change])
    expect(error).toHaveBeenCalledWith(expect.anything(), 'flows that changed rules made stale could not be ended')
    await logging.close()
  })
})

describeKernel('the networks that the host has a link on', () => {
  it('are found while the event loop goes on, however many routes there are', async () => {
    const bridge = 'link add many type bridge\naddr add 10.30.0.1/16 dev many\nlink set many up\n'
    const routes = Array.from({ length: 10_000 }, (_, at) => `route add 30.0.${at >> 8}.${at & 255}/32 via 10.30.0.2\n`)
    execFileSync('ip', ['-batch', '-'], { input: bridge + routes.join(''), stdio: 'pipe' })
    let turns = 0
    const count = setInterval(() => turns++, 0)

    const prefixes = await executor.hostPrefixes()

    clearInterval(count)
    expect(prefixes).toContain('10.30.0.0/16')
    expect(prefixes).not.toContain('30.0.0.1/32')
    expect(turns).toBeGreaterThan(5)
    execFileSync('ip', ['link', 'delete', 'many'])
  })
})

describeKernel('forwarding', () => {
  const settings = { 4: '/proc/sys/net/ipv4/ip_forward', 6: '/proc/sys/net/ipv6/conf/all/forwarding' } as const
  const values = (): string[] => [settings[4], settings[6]].map((path) => readFileSync(path, 'utf8').trim())
  const forwardings = (): unknown[] =>
    firewall.changes.flatMap(({ add = [] }) => add).filter(({ kind }) => kind === 'forwarding')
  const plan = networkPlan('br-forward', { forwarding: [4, 6] })

  beforeEach(() => {
    for (const path of Object.values(settings)) writeFileSync(path, '0')
  })

  it('that is switched on for a network is for networks only, and is put back after the last one', async () => {
    await executor.createNetwork(plan)
    const second = networkPlan('br-second', { forwarding: [4] })
    await executor.createNetwork(second)

    expect(values()).toEqual(['1', '1'])
    const facts = [
      { kind: 'forwarding', family: 4 },
      { kind: 'forwarding', family: 6 },
    ]
    expect(forwardings()).toEqual(facts)

    await executor.deleteNetwork(plan)
    expect(values()).toEqual(['1', '1'])
    await executor.deleteNetwork(second)

    expect(values()).toEqual(['0', '0'])
    expect(firewall.changes.slice(-2)).toEqual(facts.map((fact) => ({ remove: [fact] })))
  })

  it('goes off again when the network that wanted it could not be made', async () => {
    const refused = { ...plan, sysctls: [{ path: 'net/ipv4/no_such_thing', value: '1' }] }

    await expect(executor.createNetwork(refused)).rejects.toMatchObject({ code: 'ERR_SYSCTL' })

    expect(values()).toEqual(['0', '0'])
  })

  it('is put back without a stop of the event loop for all links of the host', async () => {
    const stop = vi.spyOn(RouteSocket.prototype, 'listLinks')
    await executor.createNetwork(plan)

    await executor.deleteNetwork(plan)

    expect(stop).not.toHaveBeenCalled()
    expect(values()).toEqual(['0', '0'])
  })

  it("that was on before is nobody's matter", async () => {
    writeFileSync(settings[4], '1')

    await executor.createNetwork(plan)
    await executor.deleteNetwork(plan)

    expect(forwardings()).toEqual([{ kind: 'forwarding', family: 6 }])
    expect(values()).toEqual(['1', '0'])
  })

  it('stays on for the networks of another controller', async () => {
    await executor.createNetwork(plan)
    const other = Executor.open({ owner: 'net:other' }, { firewall })
    const theirs = networkPlan('br-theirs', {
      forwarding: [4, 6],
      links: [{ kind: 'bridge', name: 'br-theirs', macAddress: '02:42:00:00:00:05', addresses: [] }],
    })
    await other.createNetwork(theirs)

    await executor.deleteNetwork(plan)

    expect(values()).toEqual(['1', '1'])
    await other.deleteNetwork(theirs)
    await other.close()
  })

  it('stays off when the rules are refused', async () => {
    firewall.refuse = true

    await expect(executor.createNetwork(plan)).rejects.toMatchObject({ code: 'ERR_REFUSED' })

    expect(values()).toEqual(['0', '0'])
  })

  describe('that was never switched on, because the rules were refused,', () => {
    let remembered: readonly number[] = []
    let forgets = true
    const forwarding = {
      switchedOn: [],
      keep: (families: readonly number[]): Promise<void> => {
        if (!forgets && families.length === 0) return Promise.reject(new Error('the disk is full'))
        remembered = families
        return Promise.resolve()
      },
    }

    it('is not remembered', async () => {
      const remembering = Executor.open({ owner: 'net:test' }, { firewall, forwarding })
      firewall.refuse = true

      await expect(remembering.createNetwork(plan)).rejects.toMatchObject({ code: 'ERR_REFUSED' })

      expect(remembered).toEqual([])
      await remembering.close()
    })

    it('is forgotten when a network goes, if that could not be done before', async () => {
      const remembering = Executor.open({ owner: 'net:test' }, { firewall, forwarding })
      firewall.refuse = true
      forgets = false
      await expect(remembering.createNetwork(plan)).rejects.toMatchObject({ code: 'ERR_REFUSED' })
      expect(remembered).toEqual([4])

      forgets = true
      await remembering.deleteNetwork(plan)

      expect(remembered).toEqual([])
      await remembering.close()
    })
  })
})

/** What `ip` says of the state of a link. */
function operationalState(name: string): string | undefined {
  return (ip('link', 'show') as { ifname: string; operstate: string }[]).find(({ ifname }) => ifname === name)
    ?.operstate
}

/** What the bridge makes of a port, or undefined where there is none. */
function portState(name: string): string | undefined {
  const links = ip('link', 'show') as { ifname: string; linkinfo?: { info_slave_data?: { state?: string } } }[]
  return links.find(({ ifname }) => ifname === name)?.linkinfo?.info_slave_data?.state
}
