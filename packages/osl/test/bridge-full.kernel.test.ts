import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Firewall } from '@net/driverapi'
import { RouteSocket } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, ipIn } from '@net/netlink-ffi/testing'
import { expect, it } from 'vitest'
import { Executor } from '../src/index.ts'

await enterFreshHost()

/** linux/if_bridge.h: BR_MAX_PORTS, less one. */
const MAX_PORTS = 1023

const noRules: Firewall = { change: () => Promise.resolve(), close: () => Promise.resolve() }

describeKernel('a bridge that is full', () => {
  it('refuses the next port by name, and the sandbox keeps nothing of it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'osl-full-'))
    const key = join(folder, 'sandbox')
    const executor = Executor.open({ owner: 'net:test' }, { firewall: noRules })
    using routes = RouteSocket.open()
    await executor.createNetwork({
      links: [{ kind: 'bridge', name: 'br-full', macAddress: '02:42:00:00:00:01', addresses: [] }],
      sysctls: [],
      firewall: [],
    })
    await executor.createSandbox(key)
    const master = routes.getLink('br-full').index
    for (let port = 0; port < MAX_PORTS; port++) {
      routes.createLink({ kind: 'veth', name: `full${port}`, master, peer: { name: `peer${port}` } })
    }

    const joining = executor.join(key, {
      sandbox: {
        links: [
          {
            create: { kind: 'veth', hostName: 'vethfull', master: 'br-full' },
            name: 'eth0',
            macAddress: '02:42:0a:14:00:02',
            addresses: [],
            routes: [],
            neighbours: [],
            sysctls: [],
          },
        ],
        gateways: {},
      },
      firewall: [],
      ports: [],
    })

    await expect(joining).rejects.toMatchObject({
      code: 'ERR_BRIDGE_FULL',
      kind: 'no-service',
      message: 'bridge br-full is full: it takes at most 1023 ports',
    })
    expect(routes.findLink('vethfull')).toBeUndefined()
    expect(ipIn(key, 'link', 'show')).toMatchObject([{ ifname: 'lo' }])
    await executor.deleteSandbox(key, [])
    await executor.close()
    rmSync(folder, { recursive: true })
  })
})
