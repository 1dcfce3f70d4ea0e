import { execFileSync, spawnSync } from 'node:child_process'
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
})
