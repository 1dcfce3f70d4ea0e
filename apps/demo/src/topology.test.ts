import { expect, it } from 'vitest'
import { drawTopology } from './topology.ts'

it('draws bridges in the host, and on the right what hangs on them', () => {
  const picture = drawTopology({
    hostLines: ['out-1', '198.51.100.1/24', '2001:db8::1/64'],
    outside: {
      name: 'outside',
      interfaceName: 'eth0',
      hostInterfaceName: 'out-1',
      addresses: ['198.51.100.2/24', '2001:db8::2/64'],
    },
    segments: [
      {
        name: 'network1',
        lines: ['br-0', '172.17.0.1/16', 'fd00::1/64'],
        stations: [
          {
            name: 'container1',
            interfaceName: 'eth0',
            hostInterfaceName: 'veth0123',
            addresses: ['172.17.0.2/16', 'fd00::2/64'],
          },
          {
            name: 'container2',
            interfaceName: 'eth0',
            hostInterfaceName: 'veth4567',
            addresses: ['172.17.0.3/16', 'fd00::3/64'],
          },
        ],
      },
    ],
    published: ['tcp 32768 → container1:80'],
  })

  expect(picture.join('\n')).toBe(
    [
      '┌ host ─────────────────────┐',
      '│                           │                 ┌ outside ────────┐',
      '│ out-1                     ├ out-1 ──── eth0 ┤ 198.51.100.2/24 │',
      '│ 198.51.100.1/24           │                 │ 2001:db8::2/64  │',
      '│ 2001:db8::1/64            │                 └─────────────────┘',
      '│ ┌ network1 ─────┐         │                 ┌ container1 ─────┐',
      '│ │ br-0          ├─────────┼ veth0123 ─ eth0 ┤ 172.17.0.2/16   │',
      '│ │ 172.17.0.1/16 │         │                 │ fd00::2/64      │',
      '│ │ fd00::1/64    │         │                 └─────────────────┘',
      '│ │               │         │                 ┌ container2 ─────┐',
      '│ │               ├─────────┼ veth4567 ─ eth0 ┤ 172.17.0.3/16   │',
      '│ │               │         │                 │ fd00::3/64      │',
      '│ └───────────────┘         │                 └─────────────────┘',
      '│ tcp 32768 → container1:80 │',
      '└───────────────────────────┘',
    ].join('\n'),
  )
})
