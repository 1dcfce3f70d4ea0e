import { openFirewall } from '@net/firewall'

// Run as root. The rules live in a table of their own, which nobody else's rules are in.
const firewall = await openFirewall({ table: 'example', owner: 'example' })
const network = { kind: 'network', bridge: 'br-example', internal: false, interContainer: true, masquerade: [4] }
const port = {
  ...{ kind: 'port', protocol: 'tcp', hostPort: 8080 },
  ...{ containerAddress: '192.0.2.2', containerPort: 80 },
}

try {
  // A network and a port, in one batch: packets see both or neither.
  await firewall.change({ add: [network, port] })
  console.log('8080 of the host leads to port 80 of 192.0.2.2')

  // A port of the host leads to one container. What is refused changes nothing.
  try {
    await firewall.change({ remove: [network], add: [{ ...port, containerAddress: '192.0.2.3' }] })
  } catch (error) {
    console.log(error.code) // ERR_PORT_PUBLISHED
  }

  await firewall.change({ remove: [port, network] })
} finally {
  await firewall.close() // the table goes, and every rule with it
}
