// A controller for tests that is killed: makes a network with containers, describes itself, and lives until then.
import { openController } from '@net/libnetwork'

const [stateDirectory, runtimeDirectory] = process.argv.slice(2)
const controller = await openController({ stateDirectory, runtimeDirectory })
const network = await controller.createNetwork({ name: 'green', ipv6: true })
for (const name of ['a', 'b', 'c']) {
  await controller.attach({
    network,
    endpoint: { name, ports: [{ containerPort: 80 }, { containerPort: 8000, containerPortEnd: 8004 }] },
    sandbox: { containerId: name, labels: { name } },
  })
}
await network.createEndpoint({ name: 'free' })
console.log(JSON.stringify(await controller.describe()))
process.stdin.resume()
