import { openController } from '@net/libnetwork'

const controller = await openController()
try {
  const network = await controller.createNetwork({ name: 'blue', ipam: { pools: [{ pool: '10.5.0.0/24' }] } })
  await controller.attach({ network, endpoint: { name: 'web' }, sandbox: { containerId: 'web' } })

  const { networks, host, differences } = await controller.describe()
  console.log(networks[0].leases[0].addresses[0].address) // 10.5.0.2: leased to the endpoint
  console.log(host.sandboxes[0].inside.links[0].addresses) // [ '10.5.0.2/24' ]: what the kernel has in the sandbox
  console.log(differences) // []: the two agree
} finally {
  await controller.close()
}
