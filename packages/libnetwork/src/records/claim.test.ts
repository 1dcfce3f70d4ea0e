import { describe, expect, it } from 'vitest'
import { readClaim } from './claim.ts'

const port = { protocol: 'tcp', containerPort: 80, hostPort: 8080 }

describe('what a damaged record lays claim to', () => {
  it('is what of it is sound', () => {
    const record = {
      ...{ id: 'not one', name: 'web', address: '10.0.0.2/24', address6: 'nowhere', sandboxId: 7 },
      ports: [port, { ...port, hostPort: 70_000 }, null],
    }
    expect(readClaim({ record, gatewayFor: 'nothing' })).toMatchObject({
      ...{ name: 'web', addresses: ['10.0.0.2'], ports: [port], pools: [], networkId: undefined },
    })
  })

  it('are the pools of a network, each with its part', () => {
    const ipv4 = { poolId: 1, pool: '10.7.0.0/16' }
    const pools = [{ family: 4, subPool: '10.7.1.0/24', auxAddresses: 3 }, 'nothing']
    expect(readClaim({ record: { name: 3, ipv4, ipv6: {} }, ipam: 'default', pools })).toMatchObject({
      ...{ name: undefined, ipam: 'default', pools: [{ family: 4, pool: '10.7.0.0/16', subPool: '10.7.1.0/24' }] },
    })
  })

  it.each([undefined, null, 7, 'text', [], {}, { record: null }, { record: [] }])('is nothing in %j', (value) => {
    expect(readClaim(value)).toMatchObject({ name: undefined, pools: [], addresses: [], ports: [] })
  })
})
