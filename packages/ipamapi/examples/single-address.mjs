import { AddressOutOfRangeError, NoAddressAvailableError } from '@net/ipamapi'

// The smallest manager that keeps the contract for one pool of one address.
let isTaken = false
const driver = {
  name: 'single',
  addressSpaces: { local: 'single', global: 'single' },
  capabilities: { requiresMacAddress: false, requiresRequestReplay: true },
  requestPool: async () => ({ id: 'single/192.0.2.1/32', pool: '192.0.2.1/32', data: {} }),
  releasePool: async () => {},
  requestAddress: async (poolId, { address = '192.0.2.1' } = {}) => {
    if (address !== '192.0.2.1') throw new AddressOutOfRangeError(address, '192.0.2.1/32')
    if (isTaken) throw new NoAddressAvailableError(poolId)
    isTaken = true
    return { address: '192.0.2.1/32', data: {} }
  },
  releaseAddress: async () => {
    isTaken = false
  },
}

const { id } = await driver.requestPool({ addressSpace: 'single' })
console.log((await driver.requestAddress(id)).address) // 192.0.2.1/32

// Errors are told apart by their codes, and what to do about them by their kinds.
try {
  await driver.requestAddress(id)
} catch (error) {
  console.log(error.code, error.kind) // ERR_NO_ADDRESS_AVAILABLE no-service
}
