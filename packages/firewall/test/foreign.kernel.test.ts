import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { NETWORK_LINK_GROUP, type FirewallFact } from '@net/driverapi'
import { addChain, addTable, deleteTable, NftablesSocket } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openFirewall, type FirewallEvent, type FirewallOptions, type TableFirewall } from '../src/index.ts'
import { addressOf, hostAddress, Lab } from './lab.ts'

await enterFreshHost()

const hasIptables = ['iptables', 'iptables-legacy'].every(
  (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0,
)

const run = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' })
const nft = (...args: readonly string[]): string => run('nft', ...args)
const load = (name: string): string =>
  nft('-f', fileURLToPath(new URL(`fixtures/foreign/${name}.nft`, import.meta.url)))
const rulesOf = (chain: string): string => nft('list', 'chain', ...chain.split(' '))
/** As an administrator would. */
const shell = (command: string): string => run('sh', '-c', command)

const facts: readonly FirewallFact[] = [
  { kind: 'network', bridge: 'br-a', internal: false, interContainer: true, masquerade: [4, 6] },
  ...([4, 6] as const).map((family) => ({
    ...({ kind: 'port', protocol: 'tcp', hostPort: 8080 } as const),
    ...{ containerAddress: addressOf('web', family), containerPort: 80 },
  })),
]

let lab: Lab
let firewall: TableFirewall | undefined
const events: FirewallEvent[] = []
let wake: (() => void) | undefined

async function next(): Promise<FirewallEvent> {
  while (events.length === 0) await new Promise<void>((resolve) => (wake = resolve))
  return events.shift()!
}

async function openWith(options: FirewallOptions = {}): Promise<void> {
  const onEvent = (event: FirewallEvent): void => {
    events.push(event)
    wake?.()
  }
  firewall = await openFirewall({ owner: 'me', facts, ...options }, { onEvent })
}

describeKernel('firewalls of other programs', () => {
  beforeAll(async () => {
    lab = await Lab.open()
    lab.joinGroup('br-a', NETWORK_LINK_GROUP)
  })
  afterAll(async () => {
    await lab.close()
  })
  afterEach(async () => {
    await firewall?.close()
    firewall = undefined
    events.length = 0
    using nftables = NftablesSocket.open()
    nftables.commit(nftables.listTables().map(deleteTable))
    if (!hasIptables) return
    for (const command of ['iptables-legacy', 'ip6tables-legacy']) {
      run(command, '-P', 'FORWARD', 'ACCEPT')
      run(command, '-F')
    }
  })

  const outside = (family: 4 | 6, protocol: 'tcp' | 'udp' = 'tcp') =>
    ({ protocol, address: addressOf('outside', family), port: 80 }) as const
  const published = (family: 4 | 6) => ({ protocol: 'tcp', address: hostAddress[family], port: 8080 }) as const
  const direct = (family: 4 | 6) => ({ protocol: 'tcp', address: addressOf('web', family), port: 80 }) as const

  describe.each([
    ['docker', ['ip filter FORWARD', 'ip6 filter FORWARD'], 'by its policy'],
    ['ufw', ['ip filter FORWARD', 'ip6 filter FORWARD'], 'by its policy'],
    ['firewalld', ['inet firewalld filter_FORWARD'], 'by a rule'],
  ] as const)('such as %s', (name, chains, drops) => {
    const told = (answer: string): unknown[] =>
      chains.map((chain) => expect.objectContaining({ kind: 'foreign-firewall', chain, drops, answer }) as unknown)

    it('are named, with what would let packets pass, and are left alone', async () => {
      load(name)
      const before = nft('-s', 'list', 'ruleset')
      await openWith()

      expect(events).toEqual(told('none'))
      await lab.askInVain('web', outside(4))
      await lab.askInVain('web', outside(6))
      expect(nft('-s', 'list', 'ruleset')).toContain(before)

      if (!hasIptables && name !== 'firewalld') return
      for (const event of events) if (event.kind === 'foreign-firewall') event.commands.forEach(shell)
      expect(await lab.ask('web', outside(4))).toMatch('outside sees')
      expect(await lab.ask('web', outside(6))).toMatch('outside sees')
    })

    it('let packets of networks pass where that is wanted, and no others', async () => {
      load(name)
      await openWith({ foreignFirewall: 'insert' })

      expect(events).toEqual(told('accepted'))
      for (const family of [4, 6] as const) {
        expect(await lab.ask('web', outside(family))).toMatch('outside sees')
        expect(await lab.ask('outside', published(family))).toMatch('web sees')
        // Our own table has the say about what is let in.
        await lab.askInVain('outside', direct(family))
        // Between others everything is as it was.
        await lab.askInVain('beyond', outside(family))
        await lab.askInVain('other', outside(family))
      }
    })

    it('have our rules again when they come up later, and after a reload', async () => {
      await openWith({ foreignFirewall: 'insert' })
      expect(events).toEqual([])

      for (const way of ['start', 'reload']) {
        for (const table of way === 'reload' ? tablesOf(chains) : []) nft('delete', 'table', ...table.split(' '))
        load(name)
        for (const expected of told('accepted')) expect(await next()).toEqual(expected)
        expect(await lab.ask('web', outside(4))).toMatch('outside sees')
      }
    })

    it('have our rules twice in a chain never, and before what drops always', async () => {
      load(name)
      await openWith({ foreignFirewall: 'insert' })
      await firewall?.detach()
      events.length = 0

      await openWith({ foreignFirewall: 'insert' })

      expect(events).toEqual(told('accepted'))
      for (const chain of chains) {
        expect(rulesOf(chain).match(/networks of me/g)).toHaveLength(2)
        // Somebody drops earlier.
        events.length = 0
        nft('insert', 'rule', ...chain.split(' '), 'counter', 'drop')
        expect(await next()).toMatchObject({ kind: 'foreign-firewall', chain, drops: 'by a rule', answer: 'accepted' })
        expect(rulesOf(chain).match(/networks of me/g)).toHaveLength(2)
        expect(rulesOf(chain)).toMatch(
          /policy \w+;\s+iifgroup[^\n]*\s+oifgroup[^\n]*\s+counter packets \d+ bytes \d+ drop/,
        )
      }
    })

    it('are as they were once we are gone', async () => {
      load(name)
      const before = nft('-s', 'list', 'ruleset')
      await openWith({ foreignFirewall: 'insert' })
      expect(nft('-s', 'list', 'ruleset')).not.toBe(before)

      await firewall?.close()

      expect(nft('-s', 'list', 'ruleset')).toBe(before)
    })
  })

  it.each(['docker', 'ufw'])('keep from passing what their own rules name: %s', async (name) => {
    load(name)
    await openWith({ foreignFirewall: 'insert' })

    for (const family of [4, 6] as const) {
      await lab.askInVain('web', outside(family, 'udp'))
      expect(await lab.ask('web', outside(family))).toMatch('outside sees')
    }
  })

  it.runIf(hasIptables)('can be read and changed by iptables when our rules are in them', async () => {
    load('docker')
    await openWith({ foreignFirewall: 'insert' })

    const group = `0x${NETWORK_LINK_GROUP.toString(16)}`
    const comment = '-m comment --comment "networks of me"'
    for (const command of ['iptables', 'ip6tables']) {
      run(command, '-I', 'FORWARD', '-s', command === 'iptables' ? '192.0.2.1' : '2001:db8::1', '-j', 'DROP')
      const lines = run(command, '-S', 'FORWARD').trim().split('\n')
      expect(lines.slice(-2)).toEqual([
        `-A FORWARD -m devgroup --src-group ${group} ${comment} -j ACCEPT`,
        `-A FORWARD -m devgroup --dst-group ${group} ${comment} -j ACCEPT`,
      ])
    }
  })

  it('are not those that only drop what they name, or that accept in the end', async () => {
    nft(
      'add table inet a; add chain inet a f { type filter hook forward priority 0; };' +
        'add rule inet a f ip saddr 192.0.2.1 drop; add chain inet a g;' +
        'add rule inet a g accept; add rule inet a f jump g; add rule inet a f drop',
    )
    nft('add table bridge b; add chain bridge b f { type filter hook forward priority 0; policy drop; }')
    nft('add table ip c; add chain ip c i { type filter hook input priority 0; policy drop; }')

    await openWith({ foreignFirewall: 'insert' })

    expect(events).toEqual([])
    expect(nft('list', 'ruleset')).not.toContain('networks of me')
  })

  it('that lock their tables are told of as refusing, and others are answered all the same', async () => {
    load('docker')
    const locked = lockedTable()
    try {
      await openWith({ foreignFirewall: 'insert' })

      expect(events).toContainEqual(
        expect.objectContaining({
          ...{ chain: 'inet locked f', answer: 'refused', drops: 'by its policy' },
          error: expect.objectContaining({ code: 'ERR_NETLINK' }) as Error,
          commands: [
            `nft insert rule inet locked f iifgroup ${NETWORK_LINK_GROUP} accept`,
            `nft insert rule inet locked f oifgroup ${NETWORK_LINK_GROUP} accept`,
          ],
        }),
      )
      expect(rulesOf('ip filter FORWARD')).toContain('networks of me')
    } finally {
      locked.close()
    }
  })

  it.runIf(hasIptables).each([
    [4, 'iptables-legacy', 'legacy ip filter FORWARD'],
    [6, 'ip6tables-legacy', 'legacy ip6 filter FORWARD'],
  ] as const)(
    'of the old xtables are named with what would let packets pass: IPv%i',
    async (family, command, chain) => {
      run(command, '-P', 'FORWARD', 'DROP')
      run(command, '-A', 'FORWARD', '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT')
      await openWith({ foreignFirewall: 'insert' })
      await lab.askInVain('web', outside(family))

      const commands = [
        `${command} -I FORWARD -m devgroup --src-group ${NETWORK_LINK_GROUP} -j ACCEPT`,
        `${command} -I FORWARD -m devgroup --dst-group ${NETWORK_LINK_GROUP} -j ACCEPT`,
      ]
      expect(events).toEqual([expect.objectContaining({ kind: 'foreign-firewall', chain, answer: 'none', commands })])
      commands.forEach(shell)
      expect(await lab.ask('web', outside(family))).toMatch('outside sees')
      expect(await lab.ask('outside', published(family))).toMatch('web sees')
    },
  )

  it.runIf(hasIptables)('of the old xtables are found when a network is made', async () => {
    await openWith()
    run('iptables-legacy', '-A', 'FORWARD', '-j', 'REJECT')

    await firewall!.change({
      add: [{ kind: 'network', bridge: 'br-b', internal: false, interContainer: true, masquerade: [] }],
    })

    expect(events).toMatchObject([{ kind: 'foreign-firewall', chain: 'legacy ip filter FORWARD' }])
  })

  it('are answered in one of two ways', async () => {
    await expect(openFirewall({ foreignFirewall: 'fight' as 'warn' })).rejects.toMatchObject({
      code: 'ERR_INVALID_FACT',
      message: 'invalid foreignFirewall "fight": expected warn or insert',
    })
  })
})

function tablesOf(chains: readonly string[]): string[] {
  return chains.map((chain) => chain.split(' ').slice(0, 2).join(' '))
}

/** A table that only the socket that made it may change, as firewalld's can be. */
function lockedTable(): NftablesSocket {
  const nftables = NftablesSocket.open()
  const table = { family: 'inet', name: 'locked' } as const
  const base = { type: 'filter', hook: 'forward', priority: 0, policy: 'drop' } as const
  nftables.commit([addTable({ ...table, locked: true }), addChain({ table, name: 'f', base })])
  return nftables
}
