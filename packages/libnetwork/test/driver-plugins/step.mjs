// A controller for tests that is killed at one step: does all that a plugin is told of, one after the other.
import { openController } from '@net/libnetwork'

const [stateDirectory, runtimeDirectory, socketFolder] = process.argv.slice(2)
const controller = await openController({
  stateDirectory,
  runtimeDirectory,
  plugins: { socketFolders: [socketFolder], specFolders: [], timeoutMs: 60_000 },
})
console.log('ready')
const network = await controller.createNetwork({
  name: 'raw',
  driver: 'raw',
  ipam: { pools: [{ pool: '10.40.0.0/24' }] },
})
const sandbox = await controller.createSandbox({ containerId: 'one' })
const endpoint = await network.createEndpoint({ name: 'one' })
await endpoint.join(sandbox)
await endpoint.leave(sandbox)
await endpoint.delete()
await network.delete()
console.log('done')
