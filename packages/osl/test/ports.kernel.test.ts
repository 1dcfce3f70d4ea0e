import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { SysctlError } from '../src/errors.ts'
import * as sysctl from '../src/sysctl.ts'
import { openLab, planOf, type Lab } from './lab.ts'

await enterFreshHost()

const plan = planOf(2, { addresses: ['10.20.0.2/24', 'fd20::2/64'] })

let lab: Lab
beforeEach(async () => {
  lab = await openLab()
})
afterEach(() => lab.close([plan]))

const isDisabled = (): string => readFileSync('/proc/sys/net/ipv6/conf/lab2/disable_ipv6', 'utf8').trim()
const routesOfPort = (): unknown => ip('-6', 'route', 'show', 'table', 'all', 'dev', 'lab2')

const ping = (address: string): string => execFileSync('ping', ['-c1', '-W5', address], { encoding: 'utf8' })

describeKernel('the port of a bridge that a container is behind', () => {
  it('has no IPv6 itself, and passes that of the container', async () => {
    await lab.executor.join(lab.key, plan)
    ip('addr', 'add', 'fd20::1/64', 'dev', 'br-lab', 'nodad')

    expect(isDisabled()).toBe('1')
    expect(routesOfPort()).toEqual([])
    expect(ping('fd20::2')).toContain('1 received')
  })

  it('has IPv6 where it may not be disabled, and serves as well', async () => {
    using refusing = vi.spyOn(sysctl, 'writeSysctls').mockImplementation(([setting]) => {
      throw new SysctlError(setting?.path ?? '', '1', new Error('EROFS'))
    })

    await lab.executor.join(lab.key, plan)

    expect(isDisabled()).toBe('0')
    expect(refusing).toHaveBeenCalledOnce()
    expect(ping('10.20.0.2')).toContain('1 received')
  })
})

describeKernel('the bridge of a network', () => {
  const snooping = (name: string): unknown => {
    const [link] = ip('-d', 'link', 'show', name) as [{ linkinfo: { info_data: { mcast_snooping: number } } }]
    return link.linkinfo.info_data.mcast_snooping
  }

  it('does not learn of multicast groups where it was made for the network', () => {
    expect(snooping('br-lab')).toBe(0)
  })

  it('does as it did where it was there before', async () => {
    ip('link', 'add', 'br-own', 'type', 'bridge')
    const network = {
      links: [{ kind: 'existing-bridge', name: 'br-own', addresses: [] }],
      sysctls: [],
      firewall: [],
    } as const
    await lab.executor.createNetwork(network)

    expect(snooping('br-own')).toBe(1)
    await lab.executor.deleteNetwork(network)
    ip('link', 'del', 'br-own')
  })

  it('is found again for each port: one that is gone is named, and nothing is left', async () => {
    ip('link', 'del', 'br-lab')

    await expect(lab.executor.join(lab.key, plan)).rejects.toMatchObject({
      code: 'ERR_LINK_NOT_FOUND',
      message: 'no such link: br-lab',
    })
    expect(JSON.stringify(ip('link', 'show'))).not.toContain('lab2')
  })
})
