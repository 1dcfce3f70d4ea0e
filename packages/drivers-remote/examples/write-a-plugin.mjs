import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatJoinPlan } from '@net/driverapi'
import { remoteDriver, serveDriver } from '@net/drivers-remote'

// A network plugin. A real one makes bridges and links here; for Docker, its socket is in /run/docker/plugins.
const folder = await mkdtemp(join(tmpdir(), 'plugins-'))
const plugin = await serveDriver(
  {
    createNetwork: async ({ networkId, ipv4 }) => console.log('network', networkId, ipv4[0].pool),
    deleteNetwork: async (networkId) => console.log('no more', networkId),
    createEndpoint: async () => ({ macAddress: '02:42:0a:00:00:02' }),
    deleteEndpoint: async () => undefined,
    join: async () => ({ interface: { hostName: 'wire7', prefix: 'net' }, gateway: '10.0.0.1' }),
    leave: async () => undefined,
  },
  { path: join(folder, 'wires.sock') },
)

// What a controller does with it: the driver asks the plugin, and plans by what it answered.
const driver = remoteDriver({ name: 'wires', socketFolders: [folder] })
const pool = { poolId: 'p', pool: '10.0.0.0/24', gateway: '10.0.0.1/24' }
const network = { id: 'network1', driver: 'wires', ipv4: pool, options: { plugin: 'wires', given: {} } }
const pools = { addressSpace: 'LocalDefault', auxAddresses: {} }
await driver.effects.createNetwork(network, pools) // network network1 10.0.0.0/24

const asked = { id: 'endpoint1', macAddress: '', address: '10.0.0.2/24', exposed: [], options: { given: {} } }
const endpoint = { ...asked, ...(await driver.effects.createEndpoint(network, asked)) }
const joined = await driver.effects.join(network, endpoint, { key: '/run/net/sandbox1' })
const interfaceName = driver.nameInterface(network, { ...endpoint, joined }, ['net0'])

const plan = driver.planEndpoint(network, { ...endpoint, joined, interfaceName })
console.log(formatJoinPlan(plan).split('\n')[0]) // link set wire7 netns sandbox name net1 address 02:42:0a:00:00:02 up

await driver.effects.deleteNetwork(network) // no more network1
await plugin.close()
await rm(folder, { recursive: true })
