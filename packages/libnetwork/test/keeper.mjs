// A controller for tests that is killed: publishes a port of a container, tells of it, and lives until then.
import { openController } from '@net/libnetwork'

const [stateDirectory, runtimeDirectory] = process.argv.slice(2)
const controller = await openController({ stateDirectory, runtimeDirectory, userlandProxy: 'auto' })
const network = await controller.createNetwork({ name: 'blue' })
const { endpoint, sandbox } = await controller.attach({
  network,
  endpoint: { name: 'web', ports: [{ containerPort: 80 }] },
  sandbox: { containerId: 'web' },
})
console.log(JSON.stringify({ key: sandbox.key, port: endpoint.ports()[0].hostPort }))
process.stdin.resume()
