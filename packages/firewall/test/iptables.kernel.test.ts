import { execFileSync, spawnSync } from 'node:child_process'
import type { FirewallFact, NetworkFact, PortFact } from '@net/driverapi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { openIptablesFirewall, type IptablesCommands, type TableFirewall } from '../src/index.ts'
import { iptablesCommands, runProgram } from '../src/iptables/commands.ts'

await enterFreshHost()

const run = (command: string, ...args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' })
const hasIptables = spawnSync('iptables', ['--version'], { stdio: 'ignore' }).status === 0

const network: NetworkFact = {
  ...{ kind: 'network', bridge: 'br0', internal: false, interContainer: true, masquerade: [4, 6] },
  prefixes: { ipv4: '10.0.0.1/24', ipv6: 'fd00::/64' },
}
const port = (facts: Partial<PortFact> = {}): PortFact => ({
  ...{ kind: 'port', protocol: 'tcp', hostPort: 8080, containerAddress: '10.0.0.2', containerPort: 80 },
  ...facts,
})

/** The rules of all tables, without counts, times and the order of chains. */
const saved = (command = 'iptables-save'): string[] =>
  run(command)
    .split('\n')
    .filter((line) => /^(-A|:)/.test(line))
    .map((line) => line.replace(/ \[\d+:\d+\]/, ''))
const rulesOf = (chain: string, command?: string): string[] =>
  saved(command).flatMap((line) => (line.startsWith(`-A ${chain} `) ? [line.slice(`-A ${chain} `.length)] : []))

/** Both kinds of iptables, where the host has them. */
const variants = ['nft', 'legacy'].filter((variant) => spawnSync(`iptables-${variant}`, ['--version']).status === 0)
const programsOf = (variant: string): IptablesCommands => ({
  save: (family) => runProgram(`${family === 4 ? 'ip' : 'ip6'}tables-${variant}-save`, [], ''),
  restore: async (family, text) => {
    await runProgram(`${family === 4 ? 'ip' : 'ip6'}tables-${variant}-restore`, ['--noflush'], text)
  },
})

let firewall: TableFirewall | undefined
async function open(...facts: readonly FirewallFact[]): Promise<TableFirewall> {
  firewall = await openIptablesFirewall({ facts })
  return firewall
}

describeKernel('rules of iptables', () => {
  afterEach(async () => {
    await firewall?.close()
    firewall = undefined
    for (const command of ['iptables', 'ip6tables']) {
      for (const table of ['raw', 'nat', 'filter']) {
        run(command, '-t', table, '-F')
        run(command, '-t', table, '-X')
      }
    }
  })

  describe.runIf(hasIptables)('', () => {
    it("are those of the chains that forwarded packets come to, the users' first", async () => {
      run('iptables', '-A', 'FORWARD', '-j', 'DROP')
      await open(network)

      expect(rulesOf('FORWARD')).toEqual(['-j NET-USER', '-j NET-FWD', '-j DROP'])
      expect(rulesOf('NET-FWD')).toEqual([
        '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
        '-i br0 -o br0 -j ACCEPT',
        '-o br0 -g NET-IN',
        '-i br0 -j ACCEPT',
        '-m devgroup --src-group 0x6e6574 -j ACCEPT',
        '-m devgroup --dst-group 0x6e6574 -j ACCEPT',
      ])
      expect(rulesOf('NET-POST', 'ip6tables-save')).toEqual([
        '-s fd00::/64 -o br0 -m conntrack --ctstate DNAT -j MASQUERADE',
        '-o br0 -m addrtype --src-type LOCAL -m conntrack --ctstate DNAT -j MASQUERADE',
        '-s fd00::/64 ! -o br0 -j MASQUERADE',
      ])
    })

    it.each<[string, Partial<PortFact>, string]>([
      ['one port', {}, '-p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80'],
      [
        'one port of one address',
        { hostAddress: '192.0.2.1', protocol: 'udp' },
        '-d 192.0.2.1/32 -p udp -m udp --dport 8080 -j DNAT --to-destination 10.0.0.2:80',
      ],
      [
        'a range onto equal ports',
        { containerPort: 8080, count: 10 },
        '-p tcp -m tcp --dport 8080:8089 -j DNAT --to-destination 10.0.0.2',
      ],
      [
        'a shifted range',
        { containerPort: 9000, count: 10, protocol: 'sctp' },
        '-p sctp -m sctp --dport 8080:8089 -j DNAT --to-destination 10.0.0.2:9000-9009/8080',
      ],
    ])('publish %s', async (_, facts, rule) => {
      const opened = await open(network)
      await opened.change({ add: [port(facts)] })

      expect(rulesOf('NET-PORTS')).toEqual([rule])
      await opened.change({ remove: [port(facts)] })
      expect(rulesOf('NET-PORTS')).toEqual([])
    })

    it("leave those of others as they are, and go without a trace but for the users' chain", async () => {
      run('iptables', '-N', 'THEIRS')
      run('iptables', '-A', 'THEIRS', '-s', '192.0.2.1', '-j', 'DROP')
      run('iptables', '-I', 'FORWARD', '-j', 'THEIRS')
      run('iptables', '-N', 'NET-USER')
      run('iptables', '-A', 'NET-USER', '-d', '192.0.2.2', '-j', 'DROP')
      const before = saved()
      const opened = await open(network, port())
      await opened.change({ add: [port({ hostPort: 8081 })] })
      expect(rulesOf('THEIRS')).toEqual(['-s 192.0.2.1/32 -j DROP'])
      expect(rulesOf('NET-USER')).toEqual(['-d 192.0.2.2/32 -j DROP'])

      await opened.close()
      await opened.close()

      // Tables come into being with their own chains, and stay.
      const isOfTable = (line: string): boolean => /^:\w+ ACCEPT$/.test(line)
      const left = saved().filter((line) => !isOfTable(line) && line !== '-A FORWARD -j NET-USER')
      expect(left).toEqual(before.filter((line) => !isOfTable(line)))
      await expect(opened.change({ add: [port()] })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    })

    it('stand where they are to be again after the next change, whatever somebody flushed', async () => {
      const opened = await open(network, port())
      run('iptables', '-F', 'FORWARD')
      run('iptables', '-F', 'NET-IN')
      run('iptables', '-I', 'FORWARD', '-j', 'ACCEPT')

      await opened.change({ add: [port({ hostPort: 8081 })] })

      expect(rulesOf('FORWARD')).toEqual(['-j NET-USER', '-j NET-FWD', '-j ACCEPT'])
      expect(rulesOf('NET-IN')).toEqual(['-m conntrack --ctstate DNAT -j ACCEPT', '-j DROP'])
      expect(rulesOf('NET-PORTS')).toHaveLength(2)
    })

    it('are as they were when one family takes them and the other does not', async () => {
      let refuses = false
      const commands: IptablesCommands = {
        save: iptablesCommands.save,
        restore: (family, text) =>
          iptablesCommands.restore(family, refuses && family === 6 ? `${text}nonsense\n` : text),
      }
      firewall = await openIptablesFirewall({ facts: [network, port()] }, { commands })
      const before = [saved(), saved('ip6tables-save')]
      refuses = true
      const changing = firewall.change({ add: [port({ hostPort: 8081 })] })
      await expect(changing).rejects.toThrow()
      refuses = false

      expect([saved(), saved('ip6tables-save')]).toEqual(before)
      await firewall.change({ add: [port({ hostPort: 8081 })] })
      expect(rulesOf('NET-PORTS')).toHaveLength(2)
    })

    it('are not there when opening fails half way', async () => {
      const before = saved()
      const commands: IptablesCommands = {
        save: iptablesCommands.save,
        restore: (family, text) =>
          family === 6 && text.includes('-j MASQUERADE')
            ? iptablesCommands.restore(family, 'nonsense\n')
            : iptablesCommands.restore(family, text),
      }

      await expect(openIptablesFirewall({ facts: [network] }, { commands })).rejects.toMatchObject({
        code: 'ERR_IPTABLES_FAILED',
        message: expect.stringMatching(/^ip6tables-restore failed with status \d+: /) as string,
      })

      const isOurs = (line: string): boolean => /NET-(?!USER)/.test(line)
      expect(saved().filter(isOurs)).toEqual(before.filter(isOurs))
    })

    it('share the host with those of another, whose jump stays where it is', async () => {
      const one = await open(network)
      const other = await openIptablesFirewall({ prefix: 'OTHER', facts: [{ ...network, bridge: 'br1' }] })
      await one.change({ add: [port()] })
      await other.change({ add: [port({ hostPort: 8081 })] })

      expect(rulesOf('FORWARD')).toEqual(['-j NET-USER', '-j OTHER-FWD', '-j NET-FWD'])
      await other.close()
      expect(rulesOf('FORWARD')).toEqual(['-j NET-USER', '-j NET-FWD'])
    })

    it('are changed one after another, however many ask at once', async () => {
      const opened = await open(network)

      await Promise.all(Array.from({ length: 10 }, (_, at) => opened.change({ add: [port({ hostPort: 8000 + at })] })))

      expect(rulesOf('NET-PORTS')).toHaveLength(10)
      await expect(opened.change({ add: [port({ hostPort: 8001 })] })).rejects.toMatchObject({
        code: 'ERR_PORT_PUBLISHED',
      })
    })

    describe('looked at', () => {
      const facts: readonly FirewallFact[] = [
        network,
        { ...network, bridge: 'br1', internal: true, masquerade: [] },
        {
          ...{ ...network, bridge: 'br2', interContainer: false, trusted: ['eth1'], sources: { ipv4: '192.0.2.1' } },
          inbound: { ipv4: 'routed', ipv6: 'all' },
        },
        port(),
        port({ hostAddress: '127.0.0.1', hostPort: 8081, protocol: 'udp' }),
        port({ hostPort: 9000, containerPort: 9000, count: 10, containerAddress: 'fd00::2' }),
        port({ hostPort: 7000, count: 10, protocol: 'sctp' }),
        port({ hostPort: 7000, count: 10, containerAddress: 'fd00::2' }),
        { kind: 'open-port', protocol: 'tcp', address: '10.0.0.2', port: 9000, count: 100 },
        { kind: 'open-port', protocol: 'tcp', address: 'fd00::2', port: 53 },
        { kind: 'link', protocol: 'tcp', from: '10.0.0.3', to: '10.0.0.2', port: 5432 },
        { kind: 'link', protocol: 'udp', from: 'fd00::3', to: 'fd00::2', port: 53 },
        { kind: 'forwarding', family: 4 },
      ]

      it.each([...variants])('are all right as %s lists them, in whatever order the facts are', async (variant) => {
        firewall = await openIptablesFirewall({ facts }, { commands: programsOf(variant) })

        const report = await firewall.inspect?.(facts.toReversed())

        expect(report).toMatchObject({ name: 'NET', missing: [], unexpected: [] })
        expect(report?.elements).toMatchObject({
          'IPv4 nat NET-PORTS': expect.arrayContaining([
            '-p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80',
          ]) as string[],
          'IPv6 filter NET-APART': expect.arrayContaining(['-g NET-IN']) as string[],
        })
      })

      it('are missing where they are not there, and unexpected where no fact calls for them', async () => {
        const opened = await open(network, port())
        run('iptables', '-t', 'nat', '-F', 'NET-PORTS')
        run('iptables', '-A', 'NET-OPEN', '-s', '192.0.2.9', '-j', 'ACCEPT')
        run('ip6tables', '-t', 'nat', '-D', 'PREROUTING', '-j', 'NET-PRE')
        run('iptables', '-t', 'raw', '-F')
        run('iptables', '-t', 'raw', '-X', 'NET-RAW')

        expect(await opened.inspect?.([network, port(), port({ hostPort: 8081 })])).toMatchObject({
          missing: [
            'IPv4 raw PREROUTING -j NET-RAW',
            'IPv4 raw NET-RAW',
            'IPv4 raw NET-RAW -i br0 -d 127.0.0.0/8 -j DROP',
            'IPv4 raw NET-RAW -i br0 -s 127.0.0.0/8 -j DROP',
            'IPv4 nat NET-PORTS -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80',
            'IPv4 nat NET-PORTS -p tcp --dport 8081 -j DNAT --to-destination 10.0.0.2:80',
            'IPv6 nat PREROUTING -j NET-PRE',
          ],
          unexpected: ['IPv4 filter NET-OPEN -s 192.0.2.9/32 -j ACCEPT'],
        })
      })

      it('are missing where others come before them: the first that fits decides', async () => {
        const opened = await open(network)
        run('iptables', '-D', 'NET-FWD', '-i', 'br0', '-j', 'ACCEPT')
        run('iptables', '-I', 'NET-FWD', '-i', 'br0', '-j', 'ACCEPT')
        run('iptables', '-I', 'FORWARD', '-j', 'ACCEPT')

        expect(await opened.inspect?.([network])).toMatchObject({
          missing: ['IPv4 filter FORWARD -j NET-USER and then ours, first of all', 'IPv4 filter NET-FWD in its order'],
          unexpected: [],
        })
      })

      it('are not known of where the program is gone, which is said, and the other family is looked at', async () => {
        let isGone = false
        const { save, restore } = iptablesCommands
        const commands: IptablesCommands = {
          save: (family) => (isGone && family === 4 ? runProgram('no-such-iptables-save', [], '') : save(family)),
          restore,
        }
        firewall = await openIptablesFirewall({ facts: [network] }, { commands })
        isGone = true

        const report = await firewall.inspect?.([network])

        isGone = false
        expect(report?.missing).toEqual([
          'IPv4, which cannot be looked at: no-such-iptables-save could not be started: install iptables, or use nftables',
        ])
        expect(Object.keys(report?.elements ?? {})).toContain('IPv6 filter NET-FWD')
      })

      it('let the event loop turn, however many rules others have', async () => {
        const opened = await open(network)
        const rules = Array.from({ length: 20_000 }, (_, at) => `-A THEIRS -s 10.${at >> 8}.${at & 255}.1 -j DROP`)
        await iptablesCommands.restore(4, ['*filter', ':THEIRS -', ...rules, 'COMMIT', ''].join('\n'))
        // By the processor's clock: on a machine that is busy with other things, time goes by without our doing.
        let longest = 0
        let last = process.cpuUsage()
        const timer = setInterval(() => {
          const { user, system } = process.cpuUsage(last)
          longest = Math.max(longest, (user + system) / 1_000)
          last = process.cpuUsage()
        }, 1)

        const report = await opened.inspect?.([network])

        clearInterval(timer)
        expect(report).toMatchObject({ missing: [], unexpected: [] })
        expect(longest).toBeLessThan(100)
      })
    })
  })

  it.each([
    [{ prefix: 'with space' }, 'prefix'],
    [{ prefix: 'A'.repeat(22) }, 'prefix'],
    [{ userChain: '-j' }, 'userChain'],
    [{ facts: [{ ...network, prefixes: { ipv4: 'fd00::/64' } }] }, 'prefix'],
    [{ facts: [{ ...network, prefixes: undefined }] }, 'prefixes'],
  ])('are not made of nonsense: %j', async (options, what) => {
    await expect(openIptablesFirewall(options)).rejects.toMatchObject({
      ...{ code: 'ERR_INVALID_FACT', kind: 'bad-request' },
      message: expect.stringContaining(`invalid ${what} `) as string,
    })
  })
})
