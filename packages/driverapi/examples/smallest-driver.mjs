import { DriverRegistry, formatJoinPlan, formatNetworkPlan } from '@net/driverapi'

// A driver answers with plans and touches nothing: here, bridges that reach nothing outside.
const quiet = {
  type: 'quiet',
  scope: 'local',
  checkNetwork: ({ id }) => ({ bridge: `q-${id.slice(0, 8)}` }),
  checkEndpoint: () => ({}),
  nameInterface: (_network, _endpoint, taken) => `eth${taken.length}`,
  planNetwork: ({ options, ipv4 }) => ({
    links: [{ kind: 'bridge', name: options.bridge, macAddress: '02:42:ac:10:00:01', addresses: [ipv4.gateway] }],
    sysctls: [],
    firewall: [{ kind: 'network', bridge: options.bridge, internal: true, interContainer: true, masquerade: [] }],
  }),
  planEndpoint: ({ options }, { id, interfaceName: name, macAddress, address }) => ({
    sandbox: {
      links: [
        {
          create: { kind: 'veth', hostName: `v-${id.slice(0, 8)}`, master: options.bridge },
          ...{ name, macAddress, addresses: [address], routes: [], neighbours: [], sysctls: [] },
        },
      ],
      gateways: {},
    },
    firewall: [],
    ports: [],
  }),
  planPorts: () => [],
  describe: (_network, { macAddress }) => ({ 'com.docker.network.endpoint.macaddress': macAddress }),
}

const drivers = new DriverRegistry()
drivers.add(quiet)

// What a controller records, and what the plans of these records are, in words.
const driver = drivers.get('quiet')
const network = {
  ...{ id: 'c0ffee0012345678', name: 'network1', driver: 'quiet', phase: 'creating', internal: true, labels: {} },
  ipv4: { poolId: 'pool1', pool: '172.16.0.0/24', gateway: '172.16.0.1/24' },
  options: driver.checkNetwork({ id: 'c0ffee0012345678' }),
}
const endpoint = {
  ...{ id: 'beef000087654321', networkId: network.id, name: 'Endpoint1', phase: 'creating', options: {} },
  ...{ macAddress: '02:42:ac:10:00:02', address: '172.16.0.2/24', aliases: [], ports: [], exposed: [] },
  interfaceName: driver.nameInterface(network, undefined, []),
}
console.log(formatNetworkPlan(driver.planNetwork(network)))
console.log(formatJoinPlan(driver.planEndpoint(network, endpoint)))

try {
  drivers.get('overlay')
} catch (error) {
  console.log(error.message) // no such network driver: "overlay"; known: quiet
}
