import { once } from 'node:events'
import { openController } from '@net/libnetwork'

const controller = await openController()
try {
  const network = await controller.createNetwork({ name: 'blue' })
  await controller.attach({ network, endpoint: { name: 'web', aliases: ['www'] }, sandbox: { containerId: 'web' } })
  const { sandbox } = await controller.attach({
    network,
    endpoint: { name: 'shop' },
    sandbox: { containerId: 'shop', extraHosts: { printer: '192.0.2.9' } },
  })

  // The program has the network, the names and the host name of the sandbox, and no right that it is not given.
  const names = 'for name in web www.blue printer; do getent ahostsv4 $name | head -1; done; echo I am $(hostname)'
  const child = sandbox.spawn('sh', ['-c', names], { stdio: ['ignore', 'inherit', 'inherit'] })
  await once(child, 'exit')

  console.log(await sandbox.resolveName('web')) // [ '172.17.0.2' ]
} finally {
  await controller.close()
}
