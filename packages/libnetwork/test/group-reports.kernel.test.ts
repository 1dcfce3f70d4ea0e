import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inNamespaceAt } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ip, ipIn } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type Network, type Sandbox } from '../src/index.ts'
import { bothFamilies } from './lab.ts'

await enterFreshHost()

/** Reports are on their way within tens of milliseconds. */
const REPORTED_MS = 500

let net: Controller
let network: Network
beforeEach(async () => {
  net = await openController()
  network = await net.createNetwork(bothFamilies)
})
afterEach(() => net.close())

async function attach(name: string, macAddress?: string): Promise<Sandbox> {
  return (await net.attach({ network, endpoint: { name, macAddress }, sandbox: { containerId: name } })).sandbox
}

/** A counter of what a sandbox has sent or heard of multicast groups (MLDv2). */
function count(sandbox: Sandbox, counter: 'Icmp6InMLDv2Reports' | 'Icmp6OutMLDv2Reports'): number {
  const table = inNamespaceAt(sandbox.key, () => readFileSync('/proc/net/snmp6', 'utf8'))
  return Number(new RegExp(`^${counter}\\s+(\\d+)$`, 'm').exec(table)?.[1])
}

/** The rules of the table, as `nft` has them. */
function nft(...args: readonly string[]): string {
  return execFileSync('nft', args, { encoding: 'utf8' })
}

const table = (): string => `net_${net.id.slice(0, 12)}`
const isAsked = (): boolean => nft('list', 'set', 'bridge', table(), 'asked').includes('elements')

async function until(isSo: () => boolean): Promise<void> {
  for (let waited = 0; !isSo() && waited < 10_000; waited += 50) await sleep(50)
  expect(isSo()).toBe(true)
}

describeKernel('what a container reports of its multicast groups', () => {
  it('is not heard by its neighbours while nobody asks', async () => {
    const listener = await attach('listener')
    const newcomer = await attach('newcomer')
    await until(() => count(newcomer, 'Icmp6OutMLDv2Reports') > 0)
    await sleep(REPORTED_MS)

    expect(count(listener, 'Icmp6InMLDv2Reports')).toBe(0)
    expect(nft('list', 'table', 'bridge', table())).toContain('icmpv6 type mld2-listener-report')
  })

  it('is heard as soon as a router among them asks', async () => {
    const router = await attach('router')
    // A bridge that asks who is in which groups is what a router does, too.
    const settings = ['forward_delay', '0', 'mcast_querier', '1', 'mcast_mld_version', '2']
    ipIn(router.key, 'link', 'add', 'asker', 'type', 'bridge', ...settings)
    ipIn(router.key, 'link', 'set', 'asker', 'addrgenmode', 'none')
    ipIn(router.key, 'addr', 'add', 'fe80::77/64', 'dev', 'asker', 'nodad')
    ipIn(router.key, 'link', 'set', 'asker', 'up')
    ipIn(router.key, 'link', 'set', 'eth0', 'master', 'asker')
    await until(isAsked)

    await attach('newcomer', '02:ab:00:00:00:09')
    // The group of its link-local address.
    const heard = ['nsenter', `--net=${router.key}`, 'bridge', 'mdb', 'show'] as const
    await until(() => execFileSync(heard[0], heard.slice(1), { encoding: 'utf8' }).includes('grp ff02::1:ff00:9'))
  })

  it('is heard as soon as the host asks', async () => {
    await attach('listener')
    const [bridge] = ip('link', 'show', 'type', 'bridge') as [{ ifname: string }]
    expect(isAsked()).toBe(false)
    ip('link', 'set', bridge.ifname, 'type', 'bridge', 'mcast_snooping', '1', 'mcast_querier', '1')

    await until(isAsked)
  })
})

describeKernel('the table that keeps the reports', () => {
  it('comes back with the other one, and goes with it', async () => {
    const all = (): string => nft('list', 'tables')
    expect(all()).toContain(`table bridge ${table()}`)
    nft('flush', 'ruleset')
    await until(() => all().includes(`table bridge ${table()}`))

    await network.delete()
    await net.close()
    expect(all()).toBe('')
  })

  it("leaves somebody else's of its name alone", async () => {
    const stateDirectory = mkdtempSync(join(tmpdir(), 'net-reports-'))
    const first = await openController({ stateDirectory })
    const name = `net_${first.id.slice(0, 12)}`
    await first.close()
    nft('delete', 'table', 'bridge', name)
    nft('add', 'table', 'bridge', name)
    nft('add', 'chain', 'bridge', name, 'others')

    const again = await openController({ stateDirectory })
    expect(nft('list', 'tables')).toContain(`table inet ${name}`)
    await again.close()
    expect(nft('list', 'table', 'bridge', name)).toContain('chain others')
    nft('delete', 'table', 'bridge', name)
    rmSync(stateDirectory, { recursive: true })
  })
})
