import type { PortFact, SandboxLink } from '@net/driverapi'
import type { FlowFilter } from '@net/netlink-ffi'
import { silentLogger } from '@net/types'
import { describe, expect, it } from 'vitest'
import { flowsOfChange, StaleFlows } from './stale-flows.ts'

const port: PortFact = {
  kind: 'port',
  protocol: 'udp',
  hostPort: 8080,
  containerAddress: '10.0.0.2',
  containerPort: 80,
}
const filter = (source: string): FlowFilter => ({ family: 4, reply: { source } })

describe('the flows that a change makes stale', () => {
  it('are those through UDP ports that are taken back, at the address that was asked', () => {
    const remove = [port, { ...port, hostAddress: '0.0.0.0' }, { ...port, hostAddress: '192.0.2.1' }]
    const reply = { protocol: 17, source: '10.0.0.2', sourcePort: 80 }
    const original = { protocol: 17, destinationPort: 8080 }
    const status = { mask: 32, value: 32 }

    expect(flowsOfChange({ remove })).toEqual([
      { family: 4, original, reply, status },
      { family: 4, original, reply, status },
      { family: 4, original: { ...original, destination: '192.0.2.1' }, reply, status },
    ])
  })

  it('are told by ports alone over IPv6, which the kernel can look for itself', () => {
    const remove = [{ ...port, hostAddress: '2001:db8::1', containerAddress: 'fd00::2' }]

    expect(flowsOfChange({ remove })).toEqual([
      {
        family: 6,
        original: { protocol: 17, destinationPort: 8080 },
        reply: { protocol: 17, sourcePort: 80 },
        status: { mask: 32, value: 32 },
      },
    ])
  })

  it('are those that asked for a UDP port before it was published, but not through another', () => {
    expect(
      flowsOfChange({
        add: [
          { ...port, protocol: 'tcp' },
          { ...port, containerAddress: 'fd00::2' },
        ],
      }),
    ).toEqual([{ family: 6, original: { protocol: 17, destinationPort: 8080 }, status: { mask: 48, value: 0 } }])
  })

  it.each([
    ['10.0.0.2', '192.0.2.1', 4],
    ['fd00::2', '2001:db8::1', 6],
  ] as const)('are one filter of a range of ports, of %s', (containerAddress, hostAddress, family) => {
    const range = { ...port, containerAddress, hostAddress, count: 60_000, hostPort: 1000, containerPort: 1000 }
    const original = { protocol: 17, destination: hostAddress }
    const destinationPorts = { first: 1000, last: 60_999 }

    expect(flowsOfChange({ remove: [range], add: [{ ...range, hostAddress: undefined }] })).toEqual([
      {
        ...{ family, original, destinationPorts, status: { mask: 32, value: 32 } },
        reply: { protocol: 17, source: containerAddress },
      },
      { family, original: { protocol: 17 }, destinationPorts, status: { mask: 48, value: 0 } },
    ])
  })

  it('are none where no UDP port is concerned', () => {
    expect(flowsOfChange({ add: [{ kind: 'forwarding', family: 4 }], remove: [{ ...port, protocol: 'tcp' }] })).toEqual(
      [],
    )
  })
})

describe('ending stale flows', () => {
  it('is one walk for all who come while another goes on', async () => {
    const walks: (readonly FlowFilter[])[] = []
    const flows = new StaleFlows(
      {
        deleteBy: async (filters) => {
          walks.push(filters)
          await Promise.resolve()
        },
      },
      silentLogger,
    )

    const first = flows.end([filter('10.0.0.1')])
    await Promise.resolve()
    await Promise.all([first, flows.end([filter('10.0.0.2')]), flows.end([filter('10.0.0.3')]), flows.end([])])

    expect(walks).toEqual([[filter('10.0.0.1')], [filter('10.0.0.2'), filter('10.0.0.3')]])
  })

  it('fails for those who wait for the walk that fails, and for nobody after', async () => {
    const answers = [Promise.reject(new Error('refused')), Promise.resolve()]
    const flows = new StaleFlows({ deleteBy: () => answers.shift() ?? Promise.resolve() }, silentLogger)

    await expect(flows.end([filter('10.0.0.1')])).rejects.toThrow('refused')
    await flows.end([filter('10.0.0.1')])
  })
})

describe('the flows of an interface that is gone', () => {
  const link = { addresses: ['10.0.0.2/24', 'fd00::2/64'] } as unknown as SandboxLink

  it('are waited for by who gets one of its addresses, and by nobody else', async () => {
    const walks: (readonly FlowFilter[])[] = []
    let finish = (): void => undefined
    const deleteBy = (filters: readonly FlowFilter[]): Promise<void> => {
      walks.push(filters)
      return new Promise((resolve) => (finish = resolve))
    }
    const flows = new StaleFlows({ deleteBy }, silentLogger)
    const order: string[] = []

    flows.leave([link])
    const next = flows.whenEnded([{ ...link, addresses: ['10.0.0.2/24'] }])?.then(() => order.push('next'))
    await flows.whenEnded([{ ...link, addresses: ['10.0.0.3/24', 'fd00::3/64'] }])
    order.push('other')
    finish()
    await Promise.all([next, flows.settle()])

    expect(order).toEqual(['other', 'next'])
    expect(walks).toEqual([
      [
        { family: 4, original: { source: '10.0.0.2' } },
        { family: 4, reply: { source: '10.0.0.2' } },
      ],
    ])
  })

  it('are ended over IPv6 once the address is given again, and only then', async () => {
    const walks: (readonly FlowFilter[])[] = []
    const deleteBy = (filters: readonly FlowFilter[]): Promise<void> => {
      walks.push(filters)
      return Promise.resolve()
    }
    const flows = new StaleFlows({ deleteBy }, silentLogger)
    const link6 = { ...link, addresses: ['fd00::2/64'] }

    flows.leave([link6])
    await flows.settle()
    expect(walks).toEqual([])
    await flows.whenEnded([link6])
    await flows.whenEnded([link6])

    expect(walks).toEqual([
      [
        { family: 6, original: { source: 'fd00::2' } },
        { family: 6, reply: { source: 'fd00::2' } },
      ],
    ])
  })

  it('are reported when they cannot be ended, and keep nobody from the address', async () => {
    const logged: object[] = []
    const logger = { ...silentLogger, error: (fields: object) => void logged.push(fields) }
    const flows = new StaleFlows({ deleteBy: () => Promise.reject(new Error('refused')) }, logger)

    flows.leave([link])
    await flows.settle()

    expect(logged).toMatchObject([{ addresses: ['10.0.0.2'], err: { message: 'refused' } }])
  })
})
