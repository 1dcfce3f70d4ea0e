import { openController } from '@net/libnetwork'

const controller = await openController()
try {
  // A network of type bridge, with a free subnet of its own.
  const network = await controller.createNetwork({ name: 'network1', driver: 'bridge' })

  // A place on it: an address and a MAC address.
  const endpoint = await network.createEndpoint({ name: 'Endpoint1' })

  // A sandbox for the container: a network namespace.
  const sandbox = await controller.createSandbox({
    containerId: 'container1',
    hostname: 'test',
    domainname: 'docker.io',
  })

  // The sandbox gets the endpoint's interface, addresses and default route.
  await endpoint.join(sandbox)

  const info = await endpoint.driverInfo()
  const macAddress = info['com.docker.network.endpoint.macaddress']
  console.log(`Joined endpoint ${endpoint.name} (${macAddress}) to sandbox ${sandbox.containerId} (${sandbox.key})`)
} finally {
  await controller.close()
}
