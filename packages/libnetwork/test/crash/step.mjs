/**
 * Does one thing to a controller and is killed in place of one of its system calls. Says `done` and how many it made
 * where it has not so many.
 */
import { openController } from '@net/libnetwork'
import { SystemCallFaults } from '@net/netlink-ffi/testing'

const [stateDirectory, runtimeDirectory, what, nth, key, nextKey] = process.argv.slice(2)
const calls = new SystemCallFaults()
if (what === 'open') calls.killAt(Number(nth))
const controller = await openController({ stateDirectory, runtimeDirectory })
if (what !== 'open') calls.killAt(Number(nth))

const ports = [{ containerPort: 80 }, { protocol: 'udp', containerPort: 53 }]
const find = (name) =>
  controller
    .networks()
    .flatMap((network) => network.endpoints())
    .find((endpoint) => endpoint.name === name)
const operations = {
  open: () => {},
  createNetwork: () => controller.createNetwork({ name: 'new', ipv6: true }),
  deleteNetwork: () => controller.getNetwork('idle').delete(),
  attach: () =>
    controller.attach({ network: 'blue', endpoint: { name: 'new', ports }, sandbox: { containerId: 'new' } }),
  detach: () => controller.getSandbox('old').delete(),
  join: () => find('free').join(controller.getSandbox('old')),
  leave: () => find('second').leave(controller.getSandbox('old')),
  publish: () => find('old').publish([{ containerPort: 90 }, { protocol: 'udp', containerPort: 91 }]),
  unpublish: () =>
    find('old').unpublish(ports.map(({ protocol = 'tcp', containerPort }) => ({ protocol, containerPort }))),
  createSandbox: () => controller.createSandbox({ containerId: 'new' }),
  createEndpoint: () => controller.getNetwork('blue').createEndpoint({ name: 'new', ports }),
  deleteEndpoint: () => find('old').delete({ force: true }),
  forceNetwork: () => controller.getNetwork('blue').delete({ force: true }),
  refresh: () => controller.getSandbox('old').refresh({ hostname: 'other', extraHosts: { extra: '192.0.2.9' } }),
  rename: () => controller.getSandbox('old').rename('renamed'),
  // In namespaces of others.
  createGiven: () => controller.createSandbox({ containerId: 'new', key: nextKey }),
  attachGiven: () =>
    controller.attach({
      network: 'blue',
      endpoint: { name: 'new', ports },
      sandbox: { containerId: 'new', key: nextKey },
    }),
  setKey: () => controller.getSandbox('waiting').setKey(nextKey),
  setAnotherKey: () => controller.getSandbox('given').setKey(nextKey),
  joinGiven: () => find('free').join(controller.getSandbox('given')),
  leaveGiven: () => find('given').leave(controller.getSandbox('given')),
  detachGiven: () => controller.getSandbox('given').delete(),
}
await operations[what]()
process.stdout.write(`done ${calls.count}\n`)
// Not to be closed in order: the next one takes over.
process.kill(process.pid, 'SIGKILL')
