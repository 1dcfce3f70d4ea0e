import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JoinPlan, NetworkPlan } from '@net/driverapi'
import { describeKernel, enterFreshHost, ipIn } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Executor } from '../src/index.ts'

await enterFreshHost()

const network: NetworkPlan = {
  links: [{ kind: 'bridge', name: 'br-tell', macAddress: '02:42:00:00:00:01', mtu: 1500, addresses: ['10.20.0.1/24'] }],
  sysctls: [],
  firewall: [],
}

function plan(number: number, announce: boolean): JoinPlan {
  return {
    sandbox: {
      links: [
        {
          create: { kind: 'veth', hostName: `tell${number}`, master: 'br-tell' },
          name: 'eth0',
          macAddress: `02:42:0a:14:00:0${number}`,
          addresses: [`10.20.0.${number}/24`],
          routes: [],
          neighbours: [],
          sysctls: [],
          announce,
        },
      ],
      gateways: {},
    },
    firewall: [],
    ports: [],
  }
}
const one = plan(2, true)
const two = plan(3, false)

let folder: string
let key: string
let executor: Executor
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tell-'))
  key = join(folder, 'box')
  executor = Executor.open(
    { owner: 'net:test' },
    { firewall: { change: () => Promise.resolve(), close: () => Promise.resolve() } },
  )
  await executor.createNetwork(network)
  await executor.createSandbox(key)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
})
afterEach(async () => {
  vi.useRealTimers()
  await executor.deleteSandbox(key, [two])
  await executor.settle()
  await executor.deleteNetwork(network)
  await executor.close()
  rmSync(folder, { recursive: true })
})

const addressOf = (name: string): unknown => (ipIn(key, 'link', 'show', name) as { address: string }[])[0]?.address
/** All that is to be told later is told. */
const later = (): void => {
  vi.advanceTimersByTime(5_000)
}

describeKernel('an interface whose address is told to neighbours', () => {
  it('leaves the next of its name its MAC address', async () => {
    await executor.join(key, one)
    await executor.leave(key, one)
    await executor.join(key, two)

    later()

    expect(addressOf('eth0')).toBe('02:42:0a:14:00:03')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('leaves the first of a new sandbox at its key its MAC address', async () => {
    await executor.join(key, one)
    await executor.deleteSandbox(key, [one])
    await executor.createSandbox(key)
    await executor.join(key, two)

    later()

    expect(addressOf('eth0')).toBe('02:42:0a:14:00:03')
  })

  it('is not told of any more when a program in the sandbox gave its name to another', async () => {
    await executor.join(key, one)
    ipIn(key, 'link', 'set', 'eth0', 'name', 'own0')
    ipIn(key, 'link', 'add', 'eth0', 'type', 'bridge')
    const before = addressOf('eth0')

    later()

    expect(addressOf('eth0')).toBe(before)
    await executor.leave(key, one)
  })

  it('keeps a MAC address that a program in the sandbox gave it', async () => {
    await executor.join(key, one)
    ipIn(key, 'link', 'set', 'eth0', 'address', '02:00:00:00:00:77')

    later()

    expect(addressOf('eth0')).toBe('02:00:00:00:00:77')
    await executor.leave(key, one)
  })
})
