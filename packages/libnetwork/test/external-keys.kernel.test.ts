import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describeKernel, enterFreshHost, ipIn } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type Network, type Sandbox } from '../src/index.ts'
import { ExternalNamespace } from './external-namespace.ts'
import { fetchFrom, fetchFromHost, plain, serve, traces, type Traces } from './lab.ts'
import { Bundle, HOOK, outcomeOf } from './oci-bundle.ts'

await enterFreshHost()

let before: Traces
let folder: string
let net: Controller
let network: Network

const open = async (): Promise<Controller> => {
  net = await openController({ stateDirectory: join(folder, 'state'), onClose: 'delete' })
  return net
}

beforeEach(async () => {
  before = traces()
  folder = mkdtempSync(join(tmpdir(), 'keys-'))
  network = await (await open()).createNetwork({ name: 'blue', ipv6: true })
})
afterEach(async () => {
  await net.close()
  expect(traces()).toEqual(before)
  expect(existsSync(`/run/net/${net.id}`)).toBe(false)
  rmSync(folder, { recursive: true })
})

const socketOf = (): string => `/run/net/${net.id}/keys/setkey.sock`

/** What is said to the socket, and what it answers. */
function say(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(socketOf(), () => socket.write(text))
    socket.on('data', (chunk) => (answer += chunk.toString()))
    socket.once('end', () => {
      socket.destroy()
      resolve(answer)
    })
    socket.once('error', reject)
  })
}

describeKernel('a sandbox in a namespace that a runtime made', () => {
  it('has the interfaces of its endpoints there, and leaves the namespace as it was', async () => {
    const container = await ExternalNamespace.open()
    const web = await net.attach({ network, endpoint: { name: 'web' }, sandbox: { containerId: 'web' } })
    await using _server = await serve(web.sandbox, 'hello')

    const { sandbox } = await net.attach({
      network,
      endpoint: { name: 'box' },
      sandbox: { containerId: 'box', key: container.path },
    })

    expect(container.isAt(sandbox.key)).toBe(true)
    expect(await fetchFrom(sandbox, 'http://web/')).toBe('hello')
    await sandbox.delete()
    await expect.poll(() => container.links()).toEqual([])
    expect(container.rules()).toBe('')
    expect(container.isAlive).toBe(true)
    await container.close()
  })

  it('keeps a default route that the namespace has, and refuses an endpoint whose address it has', async () => {
    const container = await ExternalNamespace.open()
    const gateway = network.ipv4?.gateway ?? ''
    const taken = gateway.replace(/\.1\//, '.2/')
    for (const command of [
      'link add own0 type bridge',
      `addr add ${taken} dev own0`,
      'link set own0 up',
      `route add default via ${plain(gateway)} dev own0`,
    ]) {
      container.run('ip', ...command.split(' '))
    }
    const defaults = (): unknown => ipIn(container.path, 'route', 'show', 'default')
    const before = defaults()
    const sandbox = await net.createSandbox({ containerId: 'box', key: container.path })
    const [same, other] = await Promise.all(
      [plain(taken), undefined].map((address, at) => network.createEndpoint({ name: `box${at}`, address })),
    )

    await expect(same?.join(sandbox)).rejects.toMatchObject({ code: 'ERR_ADDRESS_CONFLICT' })
    expect([container.links(), defaults()]).toEqual([['own0'], before])
    await other?.join(sandbox)
    expect(defaults()).toMatchObject([{ dev: 'eth0' }, { dev: 'own0' }])
    await sandbox.delete()

    expect([container.links(), defaults()]).toEqual([['own0'], before])
    await container.close()
  })

  it.each([
    ['nothing', '/proc/self/ns/nothing', 'ERR_SANDBOX_NOT_FOUND'],
    ['another kind of namespace', '/proc/self/ns/uts', 'ERR_INVALID_NAMESPACE'],
    ['a file', '/etc/passwd', 'ERR_INVALID_NAMESPACE'],
    ["the host's own", '/proc/self/ns/net', 'ERR_INVALID_NAMESPACE'],
    ['no path', 'here', 'ERR_INVALID_REQUEST'],
  ])('is not %s', async (_, key, code) => {
    await expect(net.createSandbox({ containerId: 'box', key })).rejects.toMatchObject({ code })
    expect(net.sandboxes()).toEqual([])
  })
})

describeKernel('a sandbox that waits for its namespace', () => {
  let sandbox: Sandbox
  let container: ExternalNamespace
  beforeEach(async () => {
    sandbox = await net.createSandbox({ containerId: 'box', key: false })
    container = await ExternalNamespace.open()
  })
  afterEach(() => container.close())

  const joinBlue = async (): Promise<void> => {
    const endpoint = await network.createEndpoint({ name: 'box', ports: [{ containerPort: 80 }] })
    await endpoint.join(sandbox)
  }

  it('gets the interfaces of endpoints that joined before, and their ports and names, with the key', async () => {
    await joinBlue()
    const { hosts } = sandbox.files
    const red = await net.createNetwork({ name: 'red', internal: true })
    await (await red.createEndpoint({ name: 'box' })).join(sandbox)
    const web = await net.attach({ network, endpoint: { name: 'web' }, sandbox: { containerId: 'web' } })
    expect(await web.sandbox.resolveName('box')).toEqual([])
    expect(sandbox.endpoints()).toHaveLength(2)
    expect((await net.describe()).differences).toEqual([])

    await sandbox.setKey(container.path)

    expect(container.links().sort()).toEqual(['eth0', 'eth1'])
    const [endpoint] = sandbox.endpoints()
    expect(await web.sandbox.resolveName('box')).toContain(plain(endpoint?.address))
    expect(sandbox.files.hosts).toBe(hosts)
    await using _server = await serve(sandbox, 'from the box')
    expect(await fetchFrom(web.sandbox, 'http://box/')).toBe('from the box')
    expect(await fetchFromHost(`http://127.0.0.1:${endpoint?.ports()[0]?.hostPort ?? 0}/`)).toBe('from the box')
    expect((await net.describe()).differences).toEqual([])
  })

  it('has no addresses in its hosts file as long as it waits, nor when it waits again', async () => {
    await joinBlue()
    const red = await net.createNetwork({ name: 'red' })
    const other = await red.createEndpoint({ name: 'box' })
    const own = (): string[] => {
      const hosts = readFileSync(sandbox.files.hosts, 'utf8')
      return hosts.split('\n').filter((line) => line.endsWith(`\t${sandbox.hostname}`))
    }
    await other.join(sandbox)
    await other.leave(sandbox)
    expect(own()).toEqual([])
    await sandbox.setKey(container.path)
    expect(own()).toHaveLength(2)

    await expect(sandbox.setKey('/proc/self/mounts')).rejects.toMatchObject({ code: 'ERR_INVALID_NAMESPACE' })

    expect(own()).toEqual([])
  })

  it('lets endpoints leave and ports change before there is one', async () => {
    await joinBlue()
    const [endpoint] = sandbox.endpoints()
    await endpoint?.publish([{ containerPort: 81 }])
    const other = await net.createNetwork({ name: 'red' }).then((red) => red.createEndpoint({ name: 'box' }))
    await other.join(sandbox, { priority: 1 })
    await other.leave(sandbox)

    await sandbox.setKey(container.path)

    expect(container.links()).toEqual(['eth0'])
    expect((await net.describe()).differences).toEqual([])
  })

  it('moves to another namespace', async () => {
    await joinBlue()
    const next = await ExternalNamespace.open()
    await sandbox.setKey(container.path)
    await sandbox.setKey(next.path)

    expect(container.links()).toEqual([])
    expect(next.links()).toEqual(['eth0'])
    expect((await net.describe()).differences).toEqual([])
    await next.close()
  })

  it('goes on waiting where it does not come about, and nothing is left', async () => {
    await joinBlue()
    container.run('ip', 'link', 'add', 'eth0', 'type', 'bridge')

    await expect(sandbox.setKey(container.path)).rejects.toMatchObject({ code: 'ERR_INTERFACE_EXISTS' })

    expect(existsSync(sandbox.key)).toBe(false)
    expect((await net.describe()).differences).toEqual([])
    container.run('ip', 'link', 'del', 'eth0')
    await sandbox.setKey(container.path)
    expect(container.links()).toEqual(['eth0'])
  })

  it('waits and lives on after a restart of the controller', async () => {
    await joinBlue()
    await net.close()
    net = await openController({ stateDirectory: join(folder, 'state') })
    network = await net.createNetwork({ name: 'green', ipv6: true })
    sandbox = await net.createSandbox({ containerId: 'box', key: false })
    await (await network.createEndpoint({ name: 'box' })).join(sandbox)
    await net.close()

    net = await openController({ stateDirectory: join(folder, 'state') })
    const state = JSON.stringify({ pid: container.pid })
    expect(await outcomeOf(process.execPath, [HOOK, 'box', net.id], state)).toMatchObject({ code: 0 })
    await net.close()

    net = await open()
    expect(container.links()).toEqual(['eth0'])
    expect((await net.describe()).differences).toEqual([])
    await net.getSandbox('box').delete()
    await expect.poll(() => container.links()).toEqual([])
  })
})

describeKernel('the socket for keys', () => {
  beforeEach(() => net.createSandbox({ containerId: 'box', key: false }))

  it("is root's alone", () => {
    expect(statSync(socketOf()).mode & 0o777).toBe(0o700)
    expect(statSync(dirname(socketOf())).mode & 0o777).toBe(0o700)
  })

  it.each([
    ['no JSON', 'x'.repeat(2_000), /at most 1280 bytes/],
    ['another shape', '{"a":1}', /ContainerID|Unrecognized/],
    ['another path', '{"ContainerID":"box","Key":"/etc/passwd"}', /expected \/proc\/PID\/ns\/net/],
    ['an unknown container', `{"ContainerID":"nobody","Key":"/proc/${process.pid}/ns/net"}`, /no such sandbox/],
    ['a process that is gone', '{"ContainerID":"box","Key":"/proc/4194304/ns/net"}', /no such file.*4194304/],
  ])('refuses %s, and goes on', async (_, text, expected) => {
    expect(await say(text)).toMatch(expected)
    expect(await say('{"a":1}')).not.toBe('')
  })

  it('answers many at once, and those that hang up', async () => {
    const hung = Array.from({ length: 20 }, () => connect(socketOf()))
    await Promise.all(hung.map((socket) => once(socket, 'connect')))
    expect(await Promise.all(Array.from({ length: 20 }, () => say('{"a":1}')))).toHaveLength(20)
    for (const socket of hung) socket.destroy()
  })
})

describeKernel('the hook', () => {
  it.each([
    ['no arguments', [], '{"pid":1}', /usage: net-setkey/],
    ['no controller', ['box', 'f'.repeat(64)], '{"pid":1}', /ENOENT/],
    ['no process', ['box', 'f'.repeat(64)], '{}', /has no process/],
    ['no state', ['box', 'f'.repeat(64)], 'x', /JSON/],
    ['no id', ['box', '../..'], '{}', /no id of a controller/],
  ])('says what is wrong with %s, and fails', async (_, args, state, message) => {
    const outcome = await outcomeOf(process.execPath, [HOOK, ...args], state)
    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringMatching(message) as string })
  })

  it('gives up after its time limit', async () => {
    const id = 'e'.repeat(64)
    mkdirSync(join(folder, id, 'keys'), { recursive: true })
    const server = createServer(() => undefined).listen(join(folder, id, 'keys', 'setkey.sock'))
    await once(server, 'listening')
    const args = [HOOK, '--runtime-directory', folder, '--timeout-ms', '300', 'box', id]
    const outcome = await outcomeOf(process.execPath, args, '{"pid":1}')

    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringMatching(/within 300 ms/) as string })
    server.close()
  })

  it('has a container of runc join the network, which fetches from another container by name', async () => {
    const web = await net.attach({ network, endpoint: { name: 'web' }, sandbox: { containerId: 'web' } })
    await using _server = await serve(web.sandbox, 'hello')
    const sandbox = await net.createSandbox({ containerId: 'box', hostname: 'box', key: false })
    await (await network.createEndpoint({ name: 'box' })).join(sandbox)
    const { hosts, resolvConf } = sandbox.files
    using bundle = new Bundle({
      args: ['wget', '-q', '-O', '-', 'http://web/'],
      hook: ['box', net.id],
      files: { '/etc/hosts': hosts, '/etc/resolv.conf': resolvConf },
    })

    expect(await bundle.run(`net-${net.id.slice(0, 12)}`)).toEqual({ code: 0, stdout: 'hello', stderr: '' })

    expect((await net.describe()).sandboxes.find(({ containerId }) => containerId === 'box')?.namespace).toBe('given')
    await sandbox.delete()
    expect(existsSync(sandbox.key)).toBe(false)
  })

  it('has runc start no container where the controller refuses', async () => {
    await net.createSandbox({ containerId: 'box', key: false })
    using bundle = new Bundle({ args: ['echo', 'started'], hook: ['nobody', net.id], files: {} })

    const outcome = await bundle.run(`net-${net.id.slice(0, 12)}`)

    expect(outcome.code).not.toBe(0)
    expect(outcome.stdout).toBe('')
    expect(outcome.stderr).toMatch(/no such sandbox.*nobody/)
  })
})
