// A program with a container is killed. Whoever opens its folder next finds what it had, in the records and in the kernel.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openController } from '@net/libnetwork'

const folder = process.argv[2]
if (folder === undefined) await observe()
else await beKilled(folder)

async function beKilled(stateDirectory) {
  const controller = await openController({ stateDirectory })
  const network = await controller.createNetwork({ name: 'blue', ipv6: true })
  const endpoint = { name: 'web', ports: [{ containerPort: 80, hostPort: 8080 }] }
  await controller.attach({ network, endpoint, sandbox: { containerId: 'web' } })
  process.send(await controller.describe())
}

async function observe() {
  const stateDirectory = await mkdtemp(join(tmpdir(), 'state-'))
  const child = fork(fileURLToPath(import.meta.url), [stateDirectory])
  const [before] = await once(child, 'message')
  console.log(summary(before)) // web has 172.17.0.2/16 and port 8080; 2 links on the host, 0 differences
  child.kill('SIGKILL')
  await once(child, 'exit')

  const controller = await openController({ stateDirectory, onClose: 'delete' })
  for await (const { kind, sandboxes } of controller.events({ after: 0 })) {
    if (kind !== 'recovered') continue
    console.log(`${kind}: ${sandboxes} sandbox`) // recovered: 1 sandbox
    break
  }
  console.log(summary(await controller.describe())) // web has 172.17.0.2/16 and port 8080; 2 links on the host, 0 differences
  await controller.close()
  await rm(stateDirectory, { recursive: true })
}

function summary({ endpoints: [web], host, differences }) {
  const place = `${web.name} has ${web.address} and port ${web.ports[0].hostPort}`
  return `${place}; ${host.links.length} links on the host, ${differences.length} differences`
}
