import { describe, expect, it } from 'vitest'
import { nullIpam } from './index.ts'

const code = (name: string): object => expect.objectContaining({ code: name }) as object

// libnetwork: ipams/null.TestPoolRequest, TestOtherRequests
describe('nullIpam', () => {
  const ipam = nullIpam()

  it('gives a pool of everything, without addresses', async () => {
    expect(await ipam.requestPool({ addressSpace: 'null' })).toEqual({
      id: 'null/0.0.0.0/0',
      pool: '0.0.0.0/0',
      data: {},
    })
    expect(await ipam.requestPool({ addressSpace: 'null', family: 6 })).toMatchObject({ id: 'null/::/0', pool: '::/0' })
    expect(await ipam.requestAddress('null/0.0.0.0/0')).toEqual({ address: '', data: {} })
    await ipam.releaseAddress('null/0.0.0.0/0', '')
    await ipam.releasePool('null/0.0.0.0/0')
  })

  it.each([
    [{ addressSpace: 'default' }, 'ERR_INVALID_ADDRESS_SPACE'],
    [{ addressSpace: 'null', pool: '192.168.0.0/16' }, 'ERR_INVALID_POOL'],
    [{ addressSpace: 'null', subPool: '192.168.0.0/24' }, 'ERR_INVALID_SUB_POOL'],
  ])('refuses %j', async (request, expected) => {
    await expect(ipam.requestPool(request)).rejects.toThrow(code(expected))
  })

  it('knows no other pool', async () => {
    await expect(ipam.requestAddress('anypid')).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
    await expect(ipam.releaseAddress('anypid', '')).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
    await expect(ipam.releasePool('anypid')).rejects.toThrow(code('ERR_NO_SUCH_POOL'))
  })
})
