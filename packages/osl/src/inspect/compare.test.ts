import type { BridgeLink, JoinPlan } from '@net/driverapi'
import { expect, it } from 'vitest'
import { compare } from './compare.ts'
import type { HostReport } from './host-report.ts'
import type { Wanted } from './read-host.ts'

const key = '/run/net/one/two'
const bridge: BridgeLink = {
  ...{ kind: 'bridge', name: 'br-one', macAddress: '02:42:00:00:00:01', mtu: 1400, addresses: ['10.0.0.1/24'] },
}
const join: JoinPlan = {
  sandbox: {
    links: [
      {
        create: { kind: 'veth', hostName: 'veth1', master: 'br-one' },
        name: 'eth0',
        macAddress: '02:42:0a:00:00:02',
        addresses: ['10.0.0.2/24'],
        routes: [{ destination: '192.0.2.0/24', gateway: '10.0.0.9' }],
        ...{ neighbours: [], sysctls: [] },
      },
    ],
    gateways: { ipv4: '10.0.0.1' },
  },
  ...{ firewall: [], ports: [] },
}
const wanted: Wanted = {
  owner: 'net:one',
  networks: [{ links: [bridge], sysctls: [{ path: 'net/x', value: '1' }], firewall: [] }],
  joins: [{ key, plan: join }],
  keys: [key],
  leaving: new Set(),
}
const up = { up: true, mtu: 1400 }
const host: HostReport = {
  links: [
    { ...up, name: 'br-one', index: 2, owner: 'net:one', macAddress: bridge.macAddress, addresses: ['10.0.0.1/24'] },
    { ...up, name: 'veth1', index: 3, owner: 'net:one', master: 'br-one', addresses: [] },
  ],
  sandboxes: [
    {
      key,
      inside: {
        links: [{ ...up, name: 'eth0', macAddress: '02:42:0a:00:00:02', addresses: ['10.0.0.2/24'] }],
        routes: [
          { destination: '0.0.0.0/0', gateway: '10.0.0.1', link: 'eth0' },
          { destination: '192.0.2.0/24', gateway: '10.0.0.9', link: 'eth0' },
        ],
      },
    },
  ],
  sysctls: { 'net/x': '1' },
}

it('finds nothing where all is as it is to be', () => {
  expect(compare(wanted, host)).toEqual([])
})

it.each<[string, Partial<HostReport>, string[]]>([
  ['nothing there', { links: [], sandboxes: [{ key }] }, ['bridge br-one', 'interface veth1', `namespace ${key}`]],
  ['a setting', { sysctls: { 'net/x': '0' } }, ['setting net/x']],
  [
    'rules',
    { firewall: { name: 'inet net', elements: {}, missing: ['ports4 a'], unexpected: ['ports4 b'] } },
    ['rules: ports4 a', 'rules: ports4 b'],
  ],
  [
    'an empty sandbox',
    { sandboxes: [{ key, inside: { links: [], routes: [] } }] },
    [`interface eth0 in ${key}`, `default route by 10.0.0.1 in ${key}`],
  ],
  [
    'links of others',
    {
      links: [
        { ...up, name: 'br-one', index: 2, owner: 'other', addresses: [], up: false, mtu: 1500 },
        { ...up, name: 'veth1', index: 3, addresses: [] },
        { ...up, name: 'stray', index: 4, owner: 'net:one', addresses: [] },
      ],
    },
    [
      ...['state', 'owner', 'MAC address', 'MTU'].map((member) => `${member} of bridge br-one`),
      'address 10.0.0.1/24 of br-one',
      ...['owner', 'bridge'].map((member) => `${member} of interface veth1`),
      'link stray',
    ],
  ],
])('names what differs: %s', (_, change, subjects) => {
  expect(compare(wanted, { ...host, ...change }).map(({ subject }) => subject)).toEqual(subjects)
})

it('lets a bridge of somebody else have what addresses it likes', () => {
  const link = { kind: 'existing-bridge', name: 'br-one', addresses: ['10.0.0.1/24'] } as const
  const shared: Wanted = { ...wanted, networks: [{ links: [link], sysctls: [], firewall: [] }], joins: [] }
  const [found] = host.links
  const links = found === undefined ? [] : [{ ...found, owner: undefined, addresses: ['10.0.0.1/24', '192.0.2.1/24'] }]

  expect(compare(shared, { ...host, links })).toEqual([])
})
