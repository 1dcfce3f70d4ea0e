import { formatJoinPlan, formatNetworkPlan } from '@net/driverapi'
import { bridgeDriver } from '@net/drivers-bridge'

const driver = bridgeDriver()
const id = '4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d'

// Labels are checked, and become typed options, before anything is made.
const options = driver.checkNetwork({
  ...{ id, name: 'network1', internal: false, ipv6: false, existing: [] },
  options: { 'com.docker.network.driver.mtu': '1400' },
})
console.log(options) // { bridge: 'br-4a3b2c1d0e9f', mtu: 1400, masquerade: true, … }

// Records in, plans out: what is wanted of the host, and of a sandbox that joins.
const network = {
  ...{ id, name: 'network1', driver: 'bridge', phase: 'creating', internal: false, labels: {}, options },
  ipv4: { poolId: 'pool1', pool: '172.18.0.0/16', gateway: '172.18.0.1/16' },
}
const endpoint = {
  ...{ id: '1f2e3d4c5b6a79880796a5b4c3d2e1f0', networkId: id, name: 'Endpoint1', phase: 'creating', options: {} },
  ...{ macAddress: '02:42:ac:12:00:02', address: '172.18.0.2/16', aliases: [], exposed: [] },
  ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 8080 }],
}
const interfaceName = driver.nameInterface(network, endpoint, [])
console.log(formatNetworkPlan(driver.planNetwork(network)))
console.log(formatJoinPlan(driver.planEndpoint(network, { ...endpoint, interfaceName })))

try {
  driver.checkNetwork({
    ...{ id, name: 'network2', internal: false, ipv6: false, existing: [network] },
    options: { 'com.docker.network.bridge.name': 'br-4a3b2c1d0e9f' },
  })
} catch (error) {
  console.log(error.message) // bridge br-4a3b2c1d0e9f belongs to network network1
}
