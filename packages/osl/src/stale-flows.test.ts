import type { PortFact } from '@net/driverapi'
import type { FlowFilter } from '@net/netlink-ffi'
import { describe, expect, it } from 'vitest'
import { flowsOfChange, StaleFlows } from './stale-flows.ts'

const port: PortFact = {
  kind: 'port',
  protocol: 'tcp',
  hostPort: 8080,
  containerAddress: '10.0.0.2',
  containerPort: 80,
}
const filter = (source: string): FlowFilter => ({ family: 4, reply: { source } })

describe('the flows that a change makes stale', () => {
  it('are those through ports that are taken back, at the address that was asked', () => {
    const remove = [port, { ...port, hostAddress: '0.0.0.0' }, { ...port, hostAddress: '192.0.2.1' }]
    const reply = { protocol: 6, source: '10.0.0.2', sourcePort: 80 }
    const original = { protocol: 6, destinationPort: 8080 }

    expect(flowsOfChange({ remove })).toEqual([
      { family: 4, original, reply },
      { family: 4, original, reply },
      { family: 4, original: { ...original, destination: '192.0.2.1' }, reply },
    ])
  })

  it('are those that asked for a UDP port before it was published, but not through another', () => {
    expect(flowsOfChange({ add: [port, { ...port, protocol: 'udp', containerAddress: 'fd00::2' }] })).toEqual([
      { family: 6, original: { protocol: 17, destinationPort: 8080 }, status: { mask: 48, value: 0 } },
    ])
  })

  it('are none where no port is concerned', () => {
    expect(flowsOfChange({ add: [{ kind: 'forwarding', family: 4 }] })).toEqual([])
  })
})

describe('ending stale flows', () => {
  it('is one walk for all who come while another goes on', async () => {
    const walks: (readonly FlowFilter[])[] = []
    const flows = new StaleFlows({
      deleteBy: async (filters) => {
        walks.push(filters)
        await Promise.resolve()
      },
    })

    const first = flows.end([filter('10.0.0.1')])
    await Promise.resolve()
    await Promise.all([first, flows.end([filter('10.0.0.2')]), flows.end([filter('10.0.0.3')]), flows.end([])])

    expect(walks).toEqual([[filter('10.0.0.1')], [filter('10.0.0.2'), filter('10.0.0.3')]])
  })

  it('fails for those who wait for the walk that fails, and for nobody after', async () => {
    const answers = [Promise.reject(new Error('refused')), Promise.resolve()]
    const flows = new StaleFlows({ deleteBy: () => answers.shift() ?? Promise.resolve() })

    await expect(flows.end([filter('10.0.0.1')])).rejects.toThrow('refused')
    await flows.end([filter('10.0.0.1')])
  })
})
