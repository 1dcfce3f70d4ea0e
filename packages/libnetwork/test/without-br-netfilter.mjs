// Where the kernel has no br_netfilter: attaches a container to the default network, whose containers may not speak with
// each other, and to another such network. Prints what became of each, and what is left of what was refused.
import { execFileSync } from 'node:child_process'
import { openController } from '@net/libnetwork'

const ipv6 = process.argv[2] === 'both families'
const controller = await openController()
const links = () => JSON.parse(execFileSync('ip', ['-json', 'link', 'show'], { encoding: 'utf8' })).length

async function attach(name, options) {
  const network = await controller.createNetwork({
    name,
    ipv6,
    options: { 'com.docker.network.bridge.enable_icc': false, ...options },
  })
  const before = links()
  try {
    await controller.attach({
      network,
      endpoint: { name, ports: [{ containerPort: 80 }] },
      sandbox: { containerId: name },
    })
    return 'attached'
  } catch ({ code, kind, message }) {
    const left = { links: links() - before, endpoints: network.endpoints(), sandboxes: controller.sandboxes() }
    return { code, kind, message, left }
  }
}

const onDefault = await attach('bridge', { 'com.docker.network.bridge.default_bridge': true })
const onOther = await attach('other', {})
await controller.close()
process.stdout.write(JSON.stringify({ onDefault, onOther }))
