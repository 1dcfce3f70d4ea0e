import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { shortId } from '@net/types'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type ControllerOptions } from '../src/index.ts'
import { fetchFromHost, openWeb, StateFolder } from './lab.ts'

await enterFreshHost()

const hasIptables = spawnSync('iptables', ['--version'], { stdio: 'ignore' }).status === 0

let folder: StateFolder
beforeEach(() => {
  folder = new StateFolder('back-end')
})
afterEach(() => folder.expectNothingLeft())

const open = (firewall: ControllerOptions['firewall']): Promise<Controller> =>
  openController({ ...folder.places, firewall })

/** Which back ends have rules of the controller. */
function rulesOf({ id }: Controller): string[] {
  const tables = execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })
  const chains = ['iptables-save', 'ip6tables-save'].map((command) => execFileSync(command, { encoding: 'utf8' }))
  return [
    ...(tables.includes(`net_${shortId(id)}`) ? ['nftables'] : []),
    ...(chains.join().includes(`NET-${shortId(id)}`) ? ['iptables'] : []),
  ]
}

/** Does something while iptables refuses to. */
async function withoutIptables(work: () => Promise<void>): Promise<void> {
  const bin = mkdtempSync(join(tmpdir(), 'bin-'))
  writeFileSync(join(bin, 'iptables-restore'), '#!/bin/sh\nexit 1\n', { mode: 0o755 })
  const { PATH = '' } = process.env
  process.env.PATH = `${bin}:${PATH}`
  try {
    await work()
  } finally {
    process.env.PATH = PATH
    rmSync(bin, { recursive: true })
  }
}

describeKernel('packet rules of a controller that is opened with another back end', () => {
  it.skipIf(!hasIptables)(
    'are those of that one alone: containers are reached, and nothing of the other is left',
    async () => {
      const first = await open('nftables')
      await using web = await openWeb(first, { ipv6: true })
      await first.close()

      for (const firewall of ['iptables', 'nftables', 'iptables', 'nftables'] as const) {
        await using net = await open(firewall)
        expect(rulesOf(net)).toEqual([firewall])
        expect(await fetchFromHost(web.url)).toBe('hello')
      }
    },
  )

  it.skipIf(!hasIptables)('are removed at the next opening where they could not be at this one', async () => {
    const first = await open('iptables')
    await first.createNetwork({ name: 'one' })
    await first.close()

    await withoutIptables(async () => {
      await using net = await open('nftables')
      // The host's forwarding is switched on for it, which is remembered as well.
      await net.createNetwork({ name: 'two', ipv6: true })
    })

    await using net = await open('nftables')
    expect(rulesOf(net)).toEqual(['nftables'])
  })
})
