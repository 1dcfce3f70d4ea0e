/**
 * Does random things to a controller until it is killed. Says each before it does it and after:
 *
 *     > {"do":"attach","name":"c7",…}
 *     < {"name":"c7","ports":[…]}
 */
import { statSync } from 'node:fs'
import { openController } from '@net/libnetwork'

/** The last ones are paths of namespaces that others made and that go on. */
const [stateDirectory, runtimeDirectory, seed, userlandProxy, ...others] = process.argv.slice(2)
let state = Number(seed)
/** A number from 0 to below `limit`: the same ones for the same seed. */
const random = (limit) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return Math.floor((state / 2 ** 32) * limit)
}
const pick = (list) => list[random(list.length)]
const say = (sign, what) => process.stdout.write(`${sign} ${JSON.stringify(what)}\n`)

const controller = await openController({ stateDirectory, runtimeDirectory, userlandProxy })
say('=', { id: controller.id })
let count = 0
const textsOf = (ports) =>
  ports.map(({ protocol, hostPort, count }) => [protocol, hostPort, ...(count === undefined ? [] : [count])].join(' '))
/** An address of the host, of IPv6 alone. */
const HOST_ADDRESS = 'fd99::1'
const RANGE = 5
const fresh = (kind) => `${kind}${seed}-${count++}`

/** Namespaces of others that some sandbox is being given. */
const spokenFor = new Set()
/** One that no sandbox has or is being given. */
const pickFree = () => {
  const taken = controller.sandboxes().map(({ key }) => statSync(key, { throwIfNoEntry: false })?.ino)
  return pick(others.filter((path) => !spokenFor.has(path) && !taken.includes(statSync(path).ino)))
}
const withFree = async (work) => {
  const path = pickFree()
  if (path === undefined) return
  spokenFor.add(path)
  try {
    await work(path)
  } finally {
    spokenFor.delete(path)
  }
}

const operations = {
  network: async () => {
    if (controller.networks().length >= 4) return
    const name = fresh('n')
    say('>', { do: 'network', name })
    await controller.createNetwork({ name, ipv6: random(2) === 0 })
    say('<', { do: 'network', name })
  },
  deleteNetwork: async () => {
    const network = pick(controller.networks().filter((one) => one.endpoints().length === 0))
    if (network === undefined || controller.networks().length < 2) return
    say('>', { do: 'deleteNetwork', name: network.name })
    await network.delete()
    say('<', { do: 'deleteNetwork', name: network.name })
  },
  attach: async () => {
    const network = pick(controller.networks())
    if (network === undefined || controller.sandboxes().length >= 12) return
    const name = fresh('c')
    const ports = random(2) === 0 ? [] : [{ containerPort: 80 }, { protocol: 'udp', containerPort: 53 }]
    say('>', { do: 'attach', name })
    const { endpoint } = await controller.attach({ network, endpoint: { name, ports }, sandbox: { containerId: name } })
    say('<', { do: 'attach', name, got: textsOf(endpoint.ports()) })
  },
  join: async () => {
    const [network, sandbox] = [pick(controller.networks()), pick(controller.sandboxes())]
    if (network === undefined || sandbox === undefined || sandbox.endpoints().length >= 3) return
    const name = fresh('e')
    say('>', { do: 'join', name, sandbox: sandbox.containerId })
    const endpoint = await network.createEndpoint({ name })
    await endpoint.join(sandbox)
    say('<', { do: 'join', name, sandbox: sandbox.containerId })
  },
  leave: async () => {
    const endpoint = pick(
      controller
        .sandboxes()
        .flatMap((one) => one.endpoints())
        .filter(({ name }) => name.startsWith('e')),
    )
    if (endpoint === undefined) return
    say('>', { do: 'leave', name: endpoint.name })
    await endpoint.delete({ force: true })
    say('<', { do: 'leave', name: endpoint.name })
  },
  publish: async () => {
    const endpoint = pick(controller.sandboxes().flatMap((one) => one.endpoints()))
    if (endpoint === undefined || endpoint.ports().length >= 6) return
    say('>', { do: 'publish', name: endpoint.name })
    const containerPort = 1000 + random(1000)
    const protocol = pick(['tcp', 'udp'])
    const port = pick([
      { containerPort },
      { protocol, containerPort, containerPortEnd: containerPort + RANGE - 1 },
      ...(endpoint.address6 === undefined ? [] : [{ protocol, containerPort, hostAddress: HOST_ADDRESS }]),
    ])
    const got = await endpoint.publish([port])
    say('<', { do: 'publish', name: endpoint.name, got: textsOf(got) })
  },
  unpublish: async () => {
    const endpoint = pick(
      controller
        .sandboxes()
        .flatMap((one) => one.endpoints())
        .filter((one) => one.ports().length > 0),
    )
    if (endpoint === undefined) return
    const { protocol, containerPort, hostAddress, hostPort, count } = pick(endpoint.ports())
    say('>', { do: 'publish', name: endpoint.name })
    const end = count === undefined ? {} : { containerPortEnd: containerPort + count - 1 }
    await endpoint.unpublish([{ protocol, containerPort, hostAddress, hostPort, ...end }])
    say('<', { do: 'publish', name: endpoint.name, gave: textsOf([{ protocol, hostPort, count }]) })
  },
  given: () =>
    withFree(async (path) => {
      const name = fresh('g')
      const key = random(2) === 0 ? path : false
      say('>', { do: 'sandbox', name })
      await controller.createSandbox({ containerId: name, key })
      say('<', { do: 'sandbox', name })
    }),
  setKey: () =>
    withFree(async (path) => {
      const sandbox = pick(controller.sandboxes().filter(({ containerId }) => containerId.startsWith('g')))
      if (sandbox === undefined) return
      say('>', { do: 'setKey', name: sandbox.containerId })
      await sandbox.setKey(path)
      say('<', { do: 'setKey', name: sandbox.containerId })
    }),
  files: () => {
    const sandbox = pick(controller.sandboxes())
    if (sandbox === undefined) return
    say('>', { do: 'files', name: sandbox.containerId })
    const { hosts } = sandbox.files
    say('<', { do: 'files', name: sandbox.containerId, hosts })
  },
  refresh: async () => {
    const sandbox = pick(controller.sandboxes())
    if (sandbox === undefined) return
    const { containerId: name } = sandbox
    say('>', { do: 'refresh', name })
    await sandbox.refresh({ hostname: name, extraHosts: { [`extra${random(3)}`]: '192.0.2.9' } })
    say('<', { do: 'refresh', name })
  },
  detach: async () => {
    const sandbox = pick(controller.sandboxes())
    if (sandbox === undefined) return
    const endpoints = sandbox.endpoints().map(({ name }) => name)
    say('>', { do: 'detach', name: sandbox.containerId, endpoints })
    await sandbox.delete()
    say('<', { do: 'detach', name: sandbox.containerId, endpoints })
  },
}
const weighted = [
  'network',
  'deleteNetwork',
  'attach',
  'attach',
  'attach',
  'join',
  'leave',
  'publish',
  'unpublish',
  'detach',
  'files',
  'files',
  'refresh',
  'given',
  'setKey',
  'setKey',
]

/** Several at a time: a kill finds more than one half done. */
async function work() {
  for (;;) {
    const name = pick(weighted)
    try {
      await operations[name]()
    } catch (error) {
      // Others were faster: what was picked is gone, or busy.
      if (!/^ERR_(NO_SUCH|BUSY|ENDPOINT|ACTIVE|PORT_NOT|CLOSED)/.test(error.code ?? '')) {
        say('!', { do: name, code: error.code, message: error.message })
        process.exit(3)
      }
    }
  }
}
await Promise.all([work(), work(), work()])
