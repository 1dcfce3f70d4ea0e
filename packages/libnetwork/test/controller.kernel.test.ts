import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memoryStore } from '@net/datastore'
import { describeKernel, enterFreshHost, ordinaryUser } from '@net/netlink-ffi/testing'
import { expect, it } from 'vitest'
import { openController } from '../src/index.ts'
import { expectNothingLeft, traces } from './lab.ts'

await enterFreshHost()

describeKernel('a controller', () => {
  it('takes everything along when it closes, once or twice, and answers nothing afterwards', async () => {
    const before = traces()
    const net = await openController()
    const network = await net.createNetwork({ name: 'n', ipv6: true })
    await net.attach({ network, endpoint: { name: 'one' }, sandbox: { containerId: 'one' } })
    await network.createEndpoint({ name: 'two', ports: [{ containerPort: 80 }] })
    await net.createSandbox({ containerId: 'three' })

    await Promise.all([net.close(), net.close()])

    await expectNothingLeft(net, before)
    await expect(net.createNetwork({ name: 'n' })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(network.createEndpoint({ name: 'x' })).rejects.toMatchObject({ code: 'ERR_CLOSED' })
    await expect(network.delete()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })

  it('waits for what runs before it closes', async () => {
    const before = traces()
    const net = await openController()
    await net.createNetwork({ name: 'n' })
    const attaching = Array.from({ length: 10 }, (_, at) =>
      net.attach({ network: 'n', endpoint: { name: `e${at}` }, sandbox: { containerId: `c${at}` } }),
    )

    await net.close()

    expect((await Promise.allSettled(attaching)).map(({ status }) => status)).toEqual(Array(10).fill('fulfilled'))
    await expectNothingLeft(net, before)
  })

  it('does not know of another one on the same host', async () => {
    await using one = await openController()
    await using two = await openController()
    await one.createNetwork({ name: 'n', ipam: { pools: [{ pool: '10.1.0.0/24' }] } })

    const network = await two.createNetwork({ name: 'n', ipam: { pools: [{ pool: '10.2.0.0/24' }] } })
    await two.attach({ network, endpoint: { name: 'e' }, sandbox: { containerId: 'c' } })
    await one.close()

    expect(two.sandboxes()).toHaveLength(1)
    expect(existsSync(two.sandboxes()[0]!.key)).toBe(true)
  })

  it('is open once a name, and says in which process', async () => {
    await using one = await openController({ name: 'only' })

    await expect(openController({ name: 'only' })).rejects.toMatchObject({
      code: 'ERR_CONTROLLER_RUNNING',
      kind: 'forbidden',
      pid: process.pid,
      message: `controller only is open already, in process ${process.pid}`,
    })

    await one.close()
    await (await openController({ name: 'only' })).close()
  })

  it('leaves nothing when it cannot be opened', async () => {
    const before = traces()
    const folder = mkdtempSync(join(tmpdir(), 'net-'))
    const file = join(folder, 'file')
    execFileSync('touch', [file])

    await expect(openController({ name: 'broken', runtimeDirectory: file })).rejects.toMatchObject({
      code: 'ERR_RUNTIME_DIRECTORY',
      kind: 'bad-request',
      cause: { code: 'EEXIST' },
    })

    expect(traces()).toEqual(before)
    await (await openController({ name: 'broken', runtimeDirectory: join(folder, 'run') })).close()
    expect(existsSync(join(folder, 'run'))).toBe(false)
    rmSync(folder, { recursive: true })
  })

  it('removes the runtime directory that it had to make, and no other', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'net-'))
    await (await openController({ runtimeDirectory: folder })).close()
    expect(existsSync(folder)).toBe(true)

    await (await openController({ runtimeDirectory: join(folder, 'made') })).close()
    expect(existsSync(join(folder, 'made'))).toBe(false)
    rmSync(folder, { recursive: true })
  })

  it('lets the rest go when one part cannot be closed, and its name in any case', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'net-'))
    const before = traces()
    const net = await openController({ name: 'stuck', runtimeDirectory: folder })
    // Somebody puts a file where the controller's folder was.
    rmSync(join(folder, net.id), { recursive: true })
    writeFileSync(join(folder, net.id), '')

    await expect(net.close()).rejects.toMatchObject({
      message: 'closing the controller was incomplete',
      errors: [{ errors: [{ message: `could not undo: create ${folder}/${net.id}`, cause: { code: 'ENOTDIR' } }] }],
    })

    expect(traces()).toEqual(before)
    await (await openController({ name: 'stuck' })).close()
    rmSync(folder, { recursive: true })
  })

  it.each(['', 'x'.repeat(101)])('does not take the name %j', async (name) => {
    await expect(openController({ name })).rejects.toMatchObject({ code: 'ERR_INVALID_REQUEST', kind: 'bad-request' })
  })

  it('chooses other pools than one that chooses at the same time', async () => {
    const controllers = await Promise.all([openController(), openController(), openController()])

    const networks = await Promise.all(controllers.map((net) => net.createNetwork({ name: 'n', ipv6: true })))

    expect(new Set(networks.map(({ ipv4 }) => ipv4?.pool)).size).toBe(3)
    expect(new Set(networks.map(({ ipv6 }) => ipv6?.pool)).size).toBe(3)
    await Promise.all(controllers.map((net) => net.close()))
  })

  it('keeps nothing without a place to keep it, and keeps in one place', async () => {
    const refused = { code: 'ERR_INVALID_REQUEST', kind: 'bad-request' }
    const local = memoryStore()

    await expect(openController({ onClose: 'keep' })).rejects.toMatchObject(refused)
    await expect(openController({ stateDirectory: '/nowhere', stores: { local } })).rejects.toMatchObject(refused)
    await local.close()
  })

  it('says what it needs when it is not permitted', () => {
    const script = `
      import { openController } from '@net/libnetwork'
      openController().catch((error) => console.log(JSON.stringify({ code: error.code, kind: error.kind })))
    `
    // What an ordinary user's process gets, in a process of ours without its capabilities.
    const { command, tree, node } = ordinaryUser(join(import.meta.dirname, '../../..'))
    const [unshare, ...args] = [...command, 'env', `--chdir=${tree}/packages/libnetwork`, node] as const
    const output = execFileSync(unshare, [...args, '--input-type=module', '-e', script], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    })

    expect(JSON.parse(output)).toEqual({ code: 'ERR_NOT_PERMITTED', kind: 'forbidden' })
  })
})
