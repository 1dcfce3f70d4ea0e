/**
 * The process of a controller, to be killed: opens its records, makes two containers where there are none, says where
 * they are, and waits.
 */
import { openController } from '@net/libnetwork'
import { withoutPrefixLength } from '@net/types'

const [stateDirectory, runtimeDirectory] = process.argv.slice(2)
const controller = await openController({ stateDirectory, runtimeDirectory })
if (controller.networks().length === 0) {
  const network = await controller.createNetwork({ name: 'traffic' })
  const ports = [{ containerPort: 80, hostPort: 8080 }]
  await controller.attach({ network, endpoint: { name: 'server', ports }, sandbox: { containerId: 'server' } })
  await controller.attach({ network, endpoint: { name: 'client' }, sandbox: { containerId: 'client' } })
}
const server = controller.getSandbox('server')
const [endpoint] = server.endpoints()
console.log(
  JSON.stringify({
    server: server.key,
    client: controller.getSandbox('client').key,
    address: withoutPrefixLength(endpoint?.address ?? ''),
  }),
)
setInterval(() => undefined, 60_000)
