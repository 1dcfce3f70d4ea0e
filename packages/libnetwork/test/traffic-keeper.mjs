// A controller for tests that is killed: has two containers, makes them where there are none, and lives until then.
import { openController } from '@net/libnetwork'

const [stateDirectory, runtimeDirectory] = process.argv.slice(2)
const controller = await openController({ stateDirectory, runtimeDirectory })
if (controller.networks().length === 0) {
  const network = await controller.createNetwork({ name: 'blue', ipv6: true })
  for (const name of ['server', 'client']) {
    await controller.attach({
      network,
      endpoint: { name, ports: name === 'server' ? [{ containerPort: 7 }] : [] },
      sandbox: { containerId: name },
    })
  }
}
const network = controller.getNetwork('blue')
const endpoint = network.getEndpoint('server')
console.log(
  JSON.stringify({
    server: controller.getSandbox('server').key,
    client: controller.getSandbox('client').key,
    addresses: [endpoint.address, endpoint.address6].map((cidr) => cidr.replace(/\/.*/, '')),
    host: ['127.0.0.1', network.ipv6.gateway.replace(/\/.*/, '')],
    port: endpoint.ports()[0].hostPort,
    recovered: controller.sandboxes().length,
  }),
)
process.stdin.resume()
