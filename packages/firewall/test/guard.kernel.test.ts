import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { FirewallFact, PortFact } from '@net/driverapi'
import { addTable, deleteTable, NftablesSocket } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openFirewall, type FirewallEvent, type TableFirewall } from '../src/index.ts'
import { addressOf, hostAddress, Lab } from './lab.ts'
import { refusingNetlink } from './refusing-netlink.ts'

await enterFreshHost()

const ENOMEM = 12

const network: FirewallFact = {
  ...{ kind: 'network', bridge: 'br-a', internal: false, interContainer: true, masquerade: [4, 6] },
}
const port = (hostPort: number): PortFact => ({
  ...{ kind: 'port', protocol: 'tcp', hostPort },
  ...{ containerAddress: addressOf('web', 4), containerPort: 80 },
})

const nft = (...args: readonly string[]): string => execFileSync('nft', args, { encoding: 'utf8', stdio: 'pipe' })
const list = (): string => nft('list', 'table', 'inet', 'net')
/** Handles change with every time that the table is put in place. */
const listWithHandles = (): string => nft('-a', 'list', 'table', 'inet', 'net')

let firewall: TableFirewall | undefined
const events: FirewallEvent[] = []
let wake: (() => void) | undefined
const onEvent = (event: FirewallEvent): void => {
  events.push(event)
  wake?.()
}

/** The event that comes next. */
async function next(): Promise<FirewallEvent> {
  while (events.length === 0) await new Promise<void>((resolve) => (wake = resolve))
  return events.shift()!
}

async function openWith(...facts: readonly FirewallFact[]): Promise<TableFirewall> {
  firewall = await openFirewall({ facts }, { onEvent })
  return firewall
}

afterEach(async () => {
  await firewall?.close()
  firewall = undefined
  events.length = 0
  using nftables = NftablesSocket.open()
  nftables.commit(nftables.listTables().map(deleteTable))
})

describeKernel('a table that another program meddles with', () => {
  it.each([
    ['table deleted', ['flush', 'ruleset']],
    ['table deleted', ['delete', 'table', 'inet', 'net']],
    ['element of ports4 deleted', ['delete', 'element', 'inet', 'net', 'ports4', '{ tcp . 8080 }']],
    ['element of ports4 added', ['add', 'element', 'inet', 'net', 'ports4', '{ tcp . 99 : 10.0.1.2 . 80 }']],
    ['rule of services added', ['add', 'rule', 'inet', 'net', 'services', 'drop']],
    ['3 rules of inbound deleted', ['flush', 'chain', 'inet', 'net', 'inbound']],
    ['chain mine added', ['add', 'chain', 'inet', 'net', 'mine']],
    ['chain forward added', ['chain', 'inet', 'net', 'forward', '{ policy drop; }']],
    ['set mine added', ['add', 'set', 'inet', 'net', 'mine', '{ type inet_service; }']],
    ['table changed', ['add', 'table', 'inet', 'net', '{ flags dormant; }']],
  ])('is put in place again, and it is said what was done: %s', async (what, args) => {
    await openWith(network, port(8080))
    const before = list()

    nft(...args)

    const program = expect.stringMatching('nft') as string
    expect(await next()).toEqual({
      ...{ kind: 'rules-restored', table: 'inet net', what, by: { pid: expect.any(Number) as number, program } },
    })
    expect(list()).toBe(before)
    expect(events).toEqual([])
  })

  it("is left as it is with drift: 'report', and it is said what was done", async () => {
    firewall = await openFirewall({ facts: [network, port(8080)], drift: 'report' }, { onEvent })

    nft('delete', 'element', 'inet', 'net', 'ports4', '{ tcp . 8080 }')
    expect(await next()).toMatchObject({ kind: 'rules-changed', table: 'inet net', what: 'element of ports4 deleted' })
    drownOut()
    expect(await next()).toMatchObject({ kind: 'rules-changed', what: 'changes that were not seen' })
    await turns(50)

    expect(list()).not.toContain('8080')
    await firewall.change({ add: [port(8081)] })
    expect(list()).toContain('8081')
    expect(events).toEqual([])
  })

  it("is left as it is with drift: 'off', and nobody is told", async () => {
    firewall = await openFirewall({ facts: [network, port(8080)], drift: 'off' }, { onEvent })

    nft('flush', 'ruleset')
    await turns(50)
    expect(nft('list', 'ruleset')).toBe('')

    await firewall.change({ add: [port(8081)] })
    expect(list()).toMatch(/8080[\s\S]*8081|8081[\s\S]*8080/)
    await turns(50)
    expect(events).toEqual([])
  })

  it('is put in place by a change at once, and told of once', async () => {
    const opened = await openWith(network, port(8080))
    nft('flush', 'ruleset')

    await opened.change({ add: [port(8081)] })
    const placed = listWithHandles()

    expect(placed).toMatch(/8080[\s\S]*8081|8081[\s\S]*8080/)
    expect(await next()).toMatchObject({ kind: 'rules-restored', what: 'table deleted' })
    expect(listWithHandles()).toBe(placed)
  })

  it('is left alone while others change tables of their own', async () => {
    const netlink = refusingNetlink()
    firewall = await openFirewall({ facts: [network] }, { netlink, onEvent })
    const { commits } = netlink

    nft('add', 'table', 'inet', 'theirs')
    nft('delete', 'table', 'inet', 'theirs')
    nft('add', 'table', 'ip', 'net')
    // Ours, so that there is an event to wait for.
    nft('delete', 'element', 'inet', 'net', 'bridges', '{ br-a }')
    await next()

    // It, and what belongs to it.
    expect(netlink.commits).toBe(commits + 2)
    expect(events).toEqual([])
  })

  it('is looked at, and left alone, after more changes of others than were heard of', async () => {
    const shifted: PortFact = { ...port(9_000), count: 10, containerPort: 80 }
    await openWith(network, port(8080), { ...port(7_000), count: 10, containerPort: 7_000 }, shifted)
    const before = listWithHandles()

    drownOut()
    nft('add', 'element', 'inet', 'net', 'ports4', '{ tcp . 99 : 10.0.1.2 . 80 }')
    expect(await next()).toMatchObject({ kind: 'rules-restored', what: 'changes that were not seen' })
    const placed = listWithHandles()
    expect(placed).not.toBe(before)

    drownOut()
    await turns(50)
    expect(events).toEqual([])
    expect(listWithHandles()).toBe(placed)
  })

  it('comes back less and less often while it is removed all the time, and stays in the end', async () => {
    const netlink = refusingNetlink()
    firewall = await openFirewall({ facts: [network, port(8080)] }, { netlink, onEvent })
    const { commits } = netlink

    const storm = spawn('sh', ['-c', 'for time in $(seq 100); do nft flush ruleset; done'], { stdio: 'ignore' })
    await once(storm, 'exit')

    while (!nft('list', 'tables').includes('inet net')) await next()
    expect(list()).toContain('8080')
    expect(netlink.commits - commits).toBeLessThan(30)
  })

  it('is said to be lost, once, while the kernel refuses it, and comes back when it can', async () => {
    const netlink = refusingNetlink()
    firewall = await openFirewall({ facts: [network, port(8080)] }, { netlink, onEvent })
    netlink.refusal = ENOMEM

    nft('flush', 'ruleset')

    expect(await next()).toMatchObject({ kind: 'rules-lost', what: 'table deleted', error: { errno: ENOMEM } })
    netlink.refusal = undefined
    expect(await next()).toMatchObject({ kind: 'rules-restored', what: 'table deleted' })
    expect(list()).toContain('8080')
  })

  it('is never taken from somebody else who has it now', async () => {
    await openWith(network)

    nft('delete table inet net; add table inet net { comment "theirs"; }')

    expect(await next()).toMatchObject({ kind: 'rules-lost', error: { code: 'ERR_TABLE_IN_USE' } })
    expect(list()).toMatch(/comment "theirs"/)
    nft('delete', 'table', 'inet', 'net')
    expect(await next()).toMatchObject({ kind: 'rules-restored' })
  })

  it("is nobody's concern any more once it was let go of", async () => {
    const opened = await openWith(network)
    await opened.detach()

    nft('flush', 'ruleset')
    await turns(50)

    expect(nft('list', 'ruleset')).toBe('')
    expect(events).toEqual([])
  })
})

describeKernel('packets to a published port', () => {
  let lab: Lab

  beforeAll(async () => {
    lab = await Lab.open()
  })
  afterAll(async () => {
    await lab.close()
  })

  describe.each([
    ['a flushed ruleset', ['flush', 'ruleset']],
    ['a flushed chain', ['flush', 'chain', 'inet', 'net', 'published']],
    ['its element taken out', ['delete', 'element', 'inet', 'net', 'ports4', '{ tcp . 8080 }']],
  ])('after %s', (_, args) => {
    it('pass again', async () => {
      await openWith(network, port(8080))
      const question = { protocol: 'tcp', address: hostAddress[4], port: 8080 } as const
      expect(await lab.ask('outside', question)).toMatch('web sees')

      nft(...args)
      await next()

      expect(await lab.ask('outside', question)).toMatch('web sees')
      await lab.askInVain('outside', { ...question, address: addressOf('web', 4), port: 80 })
    })
  })
})

/** Makes more noise than a socket has room for, all before anybody can read it. */
function drownOut(): void {
  using nftables = NftablesSocket.open()
  const noise = Array.from({ length: 1_000 }, (_, at) => addTable({ family: 'ip', name: `noise${at}` }))
  const quiet = Array.from({ length: 1_000 }, (_, at) => deleteTable({ family: 'ip', name: `noise${at}` }))
  for (let times = 0; times < 40; times++) {
    nftables.commit(noise)
    nftables.commit(quiet)
  }
}

/** Lets the event loop turn so often: what is there to be heard is heard. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
}
