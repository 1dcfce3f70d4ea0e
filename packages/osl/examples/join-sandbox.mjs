import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Executor, inSandbox } from '@net/osl'

// Run as root. These plans want no packet rules; with rules, give it @net/firewall.
const firewall = { change: async () => {}, close: async () => {} }
const executor = Executor.open({ owner: 'example' }, { firewall })
const folder = mkdtempSync(join(tmpdir(), 'osl-'))
const key = join(folder, 'container1')

const network = {
  links: [{ kind: 'bridge', name: 'br-example', macAddress: '02:42:c0:00:02:01', addresses: ['192.0.2.1/24'] }],
  sysctls: [],
  firewall: [],
}
const endpoint = {
  sandbox: {
    links: [
      {
        create: { kind: 'veth', hostName: 'veth-example', master: 'br-example' },
        ...{ name: 'eth0', macAddress: '02:42:c0:00:02:02', addresses: ['192.0.2.2/24'] },
        ...{ routes: [], neighbours: [], sysctls: [] },
      },
    ],
    gateways: { ipv4: '192.0.2.1' },
  },
  firewall: [],
  ports: [],
}

try {
  await executor.createNetwork(network)
  await executor.createSandbox(key)
  await executor.join(key, endpoint)
  console.log(inSandbox(key, () => readFileSync('/proc/thread-self/net/dev', 'utf8').includes('eth0'))) // true

  // All of a plan or nothing: its address is taken in there, and nothing of it is left behind.
  try {
    await executor.join(key, endpoint)
  } catch (error) {
    console.log(error.code) // ERR_ADDRESS_CONFLICT
  }
} finally {
  await executor.deleteSandbox(key, [endpoint])
  await executor.deleteNetwork(network)
  await executor.close()
  rmSync(folder, { recursive: true })
}
