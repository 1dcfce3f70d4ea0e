// A controller for tests that is killed: two containers on a plugin's network, told of and left alone.
import { openController } from '@net/libnetwork'

const [stateDirectory, runtimeDirectory, socketFolder] = process.argv.slice(2)
const controller = await openController({
  stateDirectory,
  runtimeDirectory,
  plugins: { socketFolders: [socketFolder], specFolders: [], timeoutMs: 5000, retryMs: 0 },
})
const network = await controller.createNetwork({ name: 'plugged', driver: 'plug' })
for (const name of ['one', 'two']) {
  await controller.attach({ network, endpoint: { name }, sandbox: { containerId: name } })
}
console.log('ready')
process.stdin.resume()
