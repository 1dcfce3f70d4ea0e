import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  openController,
  type Controller,
  type Sandbox,
  type SandboxProcess,
  type SpawnInSandboxOptions,
} from '../src/index.ts'
import { expectNothingLeft, plain, traces } from './lab.ts'

await enterFreshHost()

const before = traces()
let net: Controller
let sandbox: Sandbox

beforeEach(async () => {
  net = await openController()
  await net.createNetwork({ name: 'blue', ipv6: true })
  const attached = await net.attach({
    network: 'blue',
    endpoint: { name: 'web' },
    sandbox: { containerId: 'web', hostname: 'web-1', domainname: 'example.org' },
  })
  sandbox = attached.sandbox
})
afterEach(async () => {
  await expectNothingLeft(net, before)
})

interface Ended {
  readonly stdout: string
  readonly stderr: string
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

async function end(child: SandboxProcess): Promise<Ended> {
  let [stdout, stderr] = ['', '']
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  return { stdout, stderr, code, signal }
}

function sh(script: string, options?: SpawnInSandboxOptions): Promise<Ended> {
  return end(sandbox.spawn('/bin/sh', ['-c', script], options))
}

describeKernel('a program in a sandbox', () => {
  it('sees the files and the host name of the sandbox; the host does not', async () => {
    const { stdout } = await sh('hostname; hostname -d; cat /etc/hosts /etc/resolv.conf /etc/hostname')

    const [endpoint] = sandbox.endpoints()
    expect(stdout).toMatch(/^web-1\nexample.org\n127\.0\.0\.1\tlocalhost/)
    expect(stdout).toContain(`${plain(endpoint?.address)}\tweb-1.example.org web-1\n`)
    expect(stdout).toContain('nameserver 127.0.0.11\n')
    expect(stdout).toMatch(/\nweb-1\n$/)
    expect(hostname()).not.toBe('web-1')
    expect(readFileSync('/etc/hosts', 'utf8')).not.toContain('web-1')
  })

  it('has a network, mounts and a host name of its own, and none of these is the host’s afterwards', async () => {
    const spaces = ['net', 'mnt', 'uts'].map((name) => readlinkSync(`/proc/thread-self/ns/${name}`))
    const { stdout } = await sh('readlink /proc/self/ns/net /proc/self/ns/mnt /proc/self/ns/uts')

    const own = stdout.trim().split('\n')
    expect(own).toHaveLength(3)
    expect(own.filter((space) => spaces.includes(space))).toEqual([])
    expect(['net', 'mnt', 'uts'].map((name) => readlinkSync(`/proc/thread-self/ns/${name}`))).toEqual(spaces)
  })

  it('finds names with the resolver of the system, those of a neighbour too', async () => {
    const { endpoint } = await net.attach({
      network: 'blue',
      endpoint: { name: 'db' },
      sandbox: { containerId: 'db' },
    })
    const { stdout } = await sh('getent ahostsv4 db; getent ahostsv6 db.blue; getent hosts web-1')

    expect(stdout).toContain(`${plain(endpoint.address)}    `)
    expect(stdout).toContain(`${plain(endpoint.address6)} `)
    expect(stdout).toContain('web-1.example.org')
  })

  it('reads what was written before it started, and gives back what it wrote, to the last byte', async () => {
    const child = sandbox.spawn('/bin/cat')
    expect(child.pid).toBeUndefined()
    const bytes = Buffer.alloc(1_000_000, 'abc')
    child.stdin?.end(bytes)
    const { stdout, code } = await end(child)

    expect([stdout.length, code, child.exitCode]).toEqual([bytes.length, 0, 0])
    expect(child.pid).toBeGreaterThan(1)
  })

  it('ends with its code, by a signal, and by a signal sent before it started', async () => {
    expect(await sh('echo out; echo err >&2; exit 7')).toEqual({
      stdout: 'out\n',
      stderr: 'err\n',
      code: 7,
      signal: null,
    })
    const early = sandbox.spawn('/bin/sleep', ['60'])
    expect(early.kill('SIGKILL')).toBe(true)
    expect(await end(early)).toMatchObject({ code: null, signal: 'SIGKILL' })
    expect([early.kill(), early.killed, early.signalCode]).toEqual([false, true, 'SIGKILL'])
    const late = sandbox.spawn('/bin/sleep', ['60'])
    await once(late, 'spawn')
    expect(late.kill()).toBe(true)
    expect(await end(late)).toMatchObject({ signal: 'SIGTERM' })
  })

  it('is ended by a signal of AbortController, also by one that was aborted before', async () => {
    const controller = new AbortController()
    const child = sandbox.spawn('/bin/sleep', ['60'], { signal: controller.signal })
    const failed = once(child, 'error')
    await once(child, 'spawn')
    controller.abort(new Error('enough'))

    expect(await failed).toMatchObject([{ name: 'AbortError', cause: { message: 'enough' } }])
    expect(await end(child)).toMatchObject({ signal: 'SIGTERM' })
    const late = sandbox.spawn('/bin/sleep', ['60'], { signal: controller.signal })
    expect(await once(late, 'error')).toMatchObject([{ name: 'AbortError' }])
    expect(await end(late)).toMatchObject({ signal: 'SIGTERM' })
  })

  it('has the user, environment and folder that it is given, or this process’ own', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spawn-'))
    try {
      const given = await sh('id -u; id -g; pwd; env', {
        uid: 65_534,
        gid: 65_533,
        cwd: '/tmp',
        env: { PATH: '/usr/bin:/bin', ONE: '1' },
      })
      const own = await sh('id -u; pwd', { cwd: folder })

      expect(given.stdout).toMatch(/^65534\n65533\n\/tmp\n/)
      expect(given.stdout.split('\n').slice(3)).toEqual(expect.arrayContaining(['ONE=1', 'PATH=/usr/bin:/bin']))
      expect(own.stdout).toBe(`0\n${folder}\n`)
      expect((await sh('pwd')).stdout.trim()).toBe(process.cwd())
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('may do nothing that only root may, as root or not, but for what it is given', async () => {
    const held = "grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs)' /proc/self/status"
    const none = '0000000000000000'
    const capabilities = (set: string): string =>
      [
        `CapInh:\t${set}`,
        `CapPrm:\t${set}`,
        `CapEff:\t${set}`,
        `CapBnd:\t${set}`,
        `CapAmb:\t${set}`,
        'NoNewPrivs:\t1',
        '',
      ].join('\n')

    expect((await sh(held)).stdout).toBe(capabilities(none))
    expect((await sh(held, { uid: 65_534, gid: 65_534 })).stdout).toBe(capabilities(none))
    // 12 and 13.
    expect((await sh(held, { capabilities: ['NET_RAW', 'NET_ADMIN'] })).stdout).toBe(capabilities('0000000000003000'))
    expect((await sh(held, { capabilities: ['NET_ADMIN'], uid: 65_534 })).stdout).toBe(capabilities('0000000000001000'))
    expect((await sh('ip link set eth0 down')).stderr).toMatch(/not permitted/)
    expect((await sh('ip link set lo down', { capabilities: ['NET_ADMIN'] })).code).toBe(0)
    expect((await sh(held)).stdout).toBe(capabilities(none))
  })

  it('listens on every port and pings all the same', async () => {
    const server = "require('net').createServer().listen(80, () => { console.log('listens'); process.exit() })"
    const listened = await end(sandbox.spawn(process.execPath, ['-e', server], { uid: 65_534 }))
    const gateway = plain(net.getNetwork('blue').ipv4?.gateway)
    // Debian's file has a capability of its own, without which the kernel does not run it. A copy of it has not.
    const copied = await sh(
      `own=$(mktemp -d); cp $(command -v ping) $own; $own/ping -c 1 -W 5 ${gateway}; echo $?; rm -r $own`,
    )
    const pinged = await sh(`ping -c 1 -W 5 ${gateway}`, { capabilities: ['NET_RAW'] })

    expect([listened.stdout, copied.stdout.trim().split('\n').at(-1), pinged.code]).toEqual(['listens\n', '0', 0])
  })

  it('writes into descriptors that it is given, which can be closed at once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'spawn-'))
    const path = join(folder, 'out')
    const fd = openSync(path, 'w')
    const child = sandbox.spawn('/bin/sh', ['-c', 'echo one; echo two >&2; echo three >&3'], {
      stdio: ['ignore', fd, fd, 'pipe'],
    })
    closeSync(fd)
    let three = ''
    ;(child.stdio[3] as NodeJS.ReadableStream).on('data', (chunk: Buffer) => (three += chunk.toString()))
    await once(child, 'close')

    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n')
    expect(three).toBe('three\n')
    rmSync(folder, { recursive: true })
  })

  it('says why it could not be started', async () => {
    const child = sandbox.spawn('/no/such/program', ['x'])

    expect(await once(child, 'error')).toMatchObject([
      { code: 'ENOENT', syscall: 'spawn /no/such/program', path: '/no/such/program' },
    ])
    expect(child.pid).toBeUndefined()
    const nowhere = sandbox.spawn('/bin/true', [], { cwd: '/no/such/folder' })
    expect(await once(nowhere, 'error')).toMatchObject([{ code: 'ENOENT' }])
    expect(() => sandbox.spawn('/bin/true', [], { stdio: ['ignore', 9999, 'ignore'] })).toThrow(/EBADF/)
  })

  it('is started by the hundred at once, each in its own', async () => {
    const { sandbox: other } = await net.attach({
      network: 'blue',
      endpoint: { name: 'other' },
      sandbox: { containerId: 'other', hostname: 'other-1' },
    })
    const all = await Promise.all(
      Array.from({ length: 100 }, async (_, at) => {
        const place = at % 2 === 0 ? sandbox : other
        return (await end(place.spawn('/bin/hostname'))).stdout
      }),
    )

    expect(new Set(all.filter((_, at) => at % 2 === 0))).toEqual(new Set(['web-1\n']))
    expect(new Set(all.filter((_, at) => at % 2 === 1))).toEqual(new Set(['other-1\n']))
  })

  it('goes on when the controller is closed, and ends with its own code', async () => {
    const child = sandbox.spawn('/bin/sh', ['-c', 'read line; exit 5'])
    await once(child, 'spawn')
    await net.close()
    child.stdin?.end('go\n')

    expect(await end(child)).toMatchObject({ code: 5 })
    expect(() => sandbox.spawn('/bin/true')).toThrow(expect.objectContaining({ code: 'ERR_NO_SUCH_SANDBOX' }) as Error)
  })

  it.each<[string, readonly string[], object, string]>([
    ['', [], {}, 'command'],
    ['a\0b', [], {}, 'command'],
    ['a', ['b\0'], {}, 'args'],
    ['a', [], { uid: -1 }, 'uid'],
    ['a', [], { gid: 1.5 }, 'gid'],
    ['a', [], { capabilities: ['NOPE'] }, 'capabilities'],
    ['a', [], { stdio: ['ipc'] }, 'stdio'],
    ['a', [], { stdio: [-1] }, 'stdio'],
  ])('is refused: %j %j %j', (command, args, options, member) => {
    expect(() => sandbox.spawn(command, args, options)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_REQUEST',
        message: expect.stringContaining(`invalid program: ${member}: expected`) as string,
      }) as Error,
    )
  })
})
