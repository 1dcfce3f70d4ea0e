import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { NetworkFact, OpenPortFact, PortFact } from '@net/driverapi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { expect, it } from 'vitest'
import { openFirewall } from '../src/index.ts'
import { refusingNetlink } from './refusing-netlink.ts'

await enterFreshHost()

const ENOMEM = 12
const ENOSPC = 28

/** The table as `nft` lists it. */
const list = (table = 'net'): string =>
  execFileSync('nft', ['list', 'table', 'inet', table], { encoding: 'utf8', stdio: 'pipe' })
const tables = (): string => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })

/** With the elements of each set in order: the kernel lists them as their hashes fall. */
const inOrder = (text: string): string =>
  text.replace(/elements = \{([^}]*)\}/g, (_, elements: string) => {
    const sorted = elements
      .split(',')
      .map((element) => element.trim())
      .sort()
    return `elements = { ${sorted.join(', ')} }`
  })

/** What `nft` lists where nothing was but what it reads here. */
const loadElsewhere = (table: string): string =>
  execFileSync('unshare', ['--net', 'sh', '-c', 'nft -f /dev/stdin && nft list ruleset'], {
    encoding: 'utf8',
    input: table,
    stdio: 'pipe',
  })

const network: NetworkFact = {
  kind: 'network',
  bridge: 'br0',
  internal: false,
  interContainer: true,
  masquerade: [4, 6],
}
const port = (hostPort: number): PortFact => ({
  kind: 'port',
  protocol: 'tcp',
  hostPort,
  containerAddress: '10.0.0.2',
  containerPort: 80,
})

describeKernel('the table', () => {
  it('has its fixed chains, and facts as elements', async () => {
    await using firewall = await openFirewall({ owner: 'me' })
    await firewall.change({
      add: [
        network,
        port(8080),
        { ...port(8443), hostAddress: '192.0.2.1' },
        { kind: 'forwarding', family: 4 },
        { ...port(9000), containerPort: 9000, count: 100 },
        { ...port(9000), containerPort: 9000, count: 100, containerAddress: 'fd00::2' },
        { ...port(5000), containerPort: 6000, count: 101, protocol: 'udp', hostAddress: '192.0.2.1' },
        { ...port(5000), containerPort: 4000, count: 101, protocol: 'sctp', containerAddress: 'fd00::2' },
        { kind: 'open-port', protocol: 'tcp', address: '10.0.0.2', port: 9000, count: 100 },
        { kind: 'link', protocol: 'tcp', from: '10.0.0.3', to: '10.0.0.2', port: 5432 },
      ],
    })

    expect(inOrder(list())).toBe(inOrder(readFileSync(new URL('fixtures/table.nft', import.meta.url), 'utf8')))
  })

  it('is taken by nft as nft lists it, on another host', async () => {
    await using firewall = await openFirewall({ owner: 'me' })
    await firewall.change({
      add: [
        network,
        { ...network, bridge: 'br1', internal: true, masquerade: [] },
        { ...network, bridge: 'br2', interContainer: false, trusted: ['eth1'], sources: { ipv4: '192.0.2.1' } },
        port(8080),
        { ...port(8443), hostAddress: '192.0.2.1', containerAddress: '10.0.0.2' },
        { ...port(9000), containerPort: 9000, count: 100, containerAddress: 'fd00::2' },
        { kind: 'open-port', protocol: 'tcp', address: '10.0.0.2', port: 9000, count: 100 },
        { kind: 'link', protocol: 'udp', from: 'fd00::3', to: 'fd00::2', port: 53 },
        { kind: 'forwarding', family: 6 },
      ],
    })

    expect(inOrder(loadElsewhere(list()))).toBe(inOrder(list()))
  })

  it('is refused by nft once a range shifts, for which it has no word: not taken for something else', async () => {
    await using firewall = await openFirewall({ owner: 'me' })
    await firewall.change({ add: [network, { ...port(7000), containerPort: 80, count: 101 }] })

    expect(() => loadElsewhere(list())).toThrow('syntax error')
  })

  it('goes when it is closed, once or twice', async () => {
    const firewall = await openFirewall()
    await firewall.close()
    await firewall.close()

    expect(tables()).toBe('')
    await expect(firewall.change({ add: [network] })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  it('stays when it is let go of, and is replaced by the next opening of its owner', async () => {
    const first = await openFirewall({ owner: 'me' })
    await first.change({ add: [port(8080)] })
    await first.detach()
    expect(list()).toContain('8080')

    await using second = await openFirewall({ owner: 'me', facts: [port(9090)] })

    expect(list()).not.toContain('8080')
    expect(list()).toContain('9090')
    await expect(second.change({ add: [port(9090)] })).rejects.toMatchObject({ code: 'ERR_PORT_PUBLISHED' })
  })

  it('is never taken from somebody else', async () => {
    await using _other = await openFirewall({ owner: 'other', facts: [port(8080)] })
    const before = list()

    await expect(openFirewall({ owner: 'me' })).rejects.toMatchObject({
      code: 'ERR_TABLE_IN_USE',
      kind: 'forbidden',
      message: expect.stringMatching(/table .* belongs to .*other.*, not to me/) as string,
    })

    expect(list()).toBe(before)
  })

  it.each(['', 'with space', '9net', 'a'.repeat(129)])('is not named %j', async (table) => {
    await expect(openFirewall({ table })).rejects.toMatchObject({ code: 'ERR_INVALID_FACT', kind: 'bad-request' })
  })
})

describeKernel('a change', () => {
  it('is all or nothing: what one fact is refused for changes nothing, in the kernel or the books', async () => {
    await using firewall = await openFirewall()
    await firewall.change({ add: [network, port(8080)] })
    const before = list()

    for (const change of [
      { add: [port(8081), port(8080)] },
      { add: [port(8081), network] },
      { add: [port(8081), port(8081)] },
      { add: [port(8081), { ...port(8070), containerPort: 8070, count: 11 }] },
      {
        add: [
          { ...port(9000), count: 2 },
          { ...port(9001), count: 2 },
        ],
      },
      { remove: [network], add: [{ ...port(8080), containerPort: 81 }] },
      { add: [port(8081), { ...port(8082), containerAddress: 'nowhere' }] },
    ]) {
      await expect(firewall.change(change)).rejects.toThrow()
      expect(list()).toBe(before)
    }

    await firewall.change({ add: [port(8081)] })
  })

  it('that the kernel refuses is forgotten', async () => {
    const netlink = refusingNetlink()
    const firewall = await openFirewall({ table: 'refusing' }, { netlink })
    netlink.refusal = ENOMEM

    await expect(firewall.change({ add: [port(8080)] })).rejects.toMatchObject({ code: 'ERR_NETLINK', errno: ENOMEM })

    await firewall.detach()
    netlink.close()
    await using again = await openFirewall({ table: 'refusing' })
    await again.change({ add: [port(8080)] })
  })

  it('removes what is there, and what is not without complaint', async () => {
    await using firewall = await openFirewall()
    await firewall.change({ add: [network, port(8080), port(8081)] })

    await firewall.change({ remove: [port(8080), port(9999)] })
    await firewall.change({ remove: [port(8080), network] })

    expect(list()).not.toContain('8080')
    expect(list()).toContain('8081')
    expect(list()).not.toContain('"br0"')
  })

  it('can move a port from one container to another without a gap', async () => {
    await using firewall = await openFirewall()
    await firewall.change({ add: [port(8080)] })

    await firewall.change({ remove: [port(8080)], add: [{ ...port(8080), containerAddress: '10.0.0.3' }] })

    expect(list()).toContain('10.0.0.3 . 80')
    expect(list()).not.toContain('10.0.0.2')
  })

  it('puts the table in place again that another program flushed', async () => {
    await using firewall = await openFirewall()
    await firewall.change({ add: [network, port(8080)] })
    execFileSync('nft', ['flush', 'ruleset'])

    await firewall.change({ add: [port(8081)] })

    expect(list()).toMatch(/8080[\s\S]*8081|8081[\s\S]*8080/)
    expect(list()).toContain('"br0" . "br0" : accept')
  })

  it('puts ranges in place, in the place of others, and takes them back', async () => {
    await using firewall = await openFirewall()
    // The rules of ranges that lead elsewhere stay, once there was one.
    await firewall.change({ add: [{ ...port(8000), count: 2 }] })
    await firewall.change({ remove: [{ ...port(8000), count: 2 }] })
    const empty = list()
    const range = (hostPort: number, containerPort: number, count: number): PortFact => ({
      ...port(hostPort),
      containerPort,
      count,
    })
    const open = (first: number, count: number): OpenPortFact => ({
      kind: 'open-port',
      protocol: 'tcp',
      address: '10.0.0.2',
      port: first,
      count,
    })
    await firewall.change({ add: [range(1, 1, 60_000), range(60_001, 1, 5535), open(1, 100), open(50, 100)] })
    expect(list()).toContain('tcp . 1-60000 : 10.0.0.2')
    expect(list()).toContain('10.0.0.2 . tcp . 1-149')

    await firewall.change({
      remove: [range(1, 1, 60_000), open(1, 100)],
      add: [range(1, 2, 60_000), open(60, 10)],
    })
    expect(list()).toContain('tcp . 1-60000 : 60001')
    expect(list()).toContain('10.0.0.2 . tcp . 50-149')

    await firewall.change({
      remove: [range(1, 2, 60_000), range(60_001, 1, 5535), open(50, 100), open(60, 10)],
    })
    expect(list()).toBe(empty)
  })

  it('puts ranges back that another program took away', async () => {
    await using firewall = await openFirewall()
    const range = { ...port(8000), containerPort: 8000, count: 100 }
    await firewall.change({ add: [range] })
    execFileSync('nft', ['flush', 'map', 'inet', 'net', 'ranges4'])

    await firewall.change({ remove: [range], add: [{ ...range, count: 50 }] })

    expect(list()).toContain('tcp . 8000-8049 : 10.0.0.2')
  })

  it('puts ranges in the place of those that another program added', async () => {
    await using firewall = await openFirewall()
    const foreign = '{ 0.0.0.0-255.255.255.255 . tcp . 8050-8150 : 10.0.0.9 }'
    execFileSync('nft', ['add', 'element', 'inet', 'net', 'ranges4', foreign])

    await firewall.change({ add: [{ ...port(8000), containerPort: 8000, count: 100 }] })

    expect(list()).toContain('tcp . 8000-8099 : 10.0.0.2')
    expect(list()).not.toContain('10.0.0.9')
  })

  it('of ten thousand ports is one batch', async () => {
    await using firewall = await openFirewall()
    const ports = Array.from({ length: 10_000 }, (_, at) => port(10_000 + at))

    await firewall.change({ add: ports })
    expect(list().match(/10\.0\.0\.2 \. 80/g)).toHaveLength(10_000)

    await firewall.change({ remove: ports })
    expect(list()).not.toContain('10.0.0.2')
  })
})

describeKernel('a kernel short of room', () => {
  const ports = (count: number): PortFact[] => Array.from({ length: count }, (_, at) => port(10_000 + at))
  /** Room for the table, but for some hundred elements only. */
  const bufferBytes = 16 * 1024

  it("takes what is larger than the socket's buffer in parts", async () => {
    const netlink = refusingNetlink({ bufferBytes })
    const firewall = await openFirewall({ facts: [network, ...ports(2_000)] }, { netlink })
    expect(list().match(/10\.0\.0\.2 \. 80/g)).toHaveLength(2_000)

    await firewall.change({ remove: ports(1_000), add: ports(1_000).map((fact) => ({ ...fact, containerPort: 81 })) })

    expect(list().match(/10\.0\.0\.2 \. 80/g)).toHaveLength(1_000)
    expect(list().match(/10\.0\.0\.2 \. 81/g)).toHaveLength(1_000)
    expect(netlink.commits).toBeGreaterThan(5)
    await firewall.close()
    netlink.close()
  })

  it('that fails half way leaves nothing of it', async () => {
    const netlink = refusingNetlink({ bufferBytes })
    const firewall = await openFirewall({ facts: [network, port(80)] }, { netlink })
    const before = list()
    netlink.failsAfter = netlink.commits + 2

    const changing = firewall.change({ remove: [port(80)], add: ports(2_000) })

    await expect(changing).rejects.toMatchObject({ code: 'ERR_NETLINK', kind: 'no-service', errno: ENOSPC })
    expect(list()).toBe(before)
    await firewall.change({ remove: [port(80)], add: ports(10) })
    await firewall.close()
    netlink.close()
  })

  it('that fails half way when the table is put in place leaves none', async () => {
    const netlink = refusingNetlink({ bufferBytes })
    netlink.failsAfter = 2

    const opening = openFirewall({ facts: [network, ...ports(2_000)] }, { netlink })

    await expect(opening).rejects.toMatchObject({ code: 'ERR_NETLINK', errno: ENOSPC })
    netlink.close()
    expect(tables()).toBe('')
  })

  it('that loses its answer is asked to have everything as it was', async () => {
    const netlink = refusingNetlink()
    const firewall = await openFirewall({ facts: [network, port(80)] }, { netlink })
    const before = list()
    netlink.losesAnswers = true
    const changing = firewall.change({ remove: [port(80)], add: [port(81)] })
    netlink.losesAnswers = false

    await expect(changing).rejects.toMatchObject({ errno: 105, kind: 'no-service' })
    expect(list()).toBe(before)
    await firewall.change({ add: [port(81)] })
    await firewall.close()
    netlink.close()
  })
})
