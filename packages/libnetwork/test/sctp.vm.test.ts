import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { holdPort, inNamespaceAt } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Attachment, type Controller, type ControllerEvent, type Network } from '../src/index.ts'

await enterFreshHost()

const SOCKETS = fileURLToPath(new URL('sctp-sockets.py', import.meta.url))
const port = { protocol: 'sctp', containerPort: 5000, hostPort: 36_412 } as const

let net: Controller
let web: Attachment
let folder: string
let children: ChildProcess[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sctp-'))
  children = []
})
afterEach(async () => {
  await net.close()
  for (const child of children) {
    child.kill('SIGKILL')
    await once(child, 'close')
  }
  rmSync(folder, { recursive: true })
})

/** A container that answers on port 5000. */
async function open({ ipv6 = true, ...options }: Parameters<typeof openController>[0] & { ipv6?: boolean } = {}) {
  net = await openController({ runtimeDirectory: join(folder, 'run'), ...options })
  web = await attach('web', '8', ipv6)
  const child = inNamespaceAt(web.sandbox.key, () =>
    spawn('python3', [SOCKETS, 'serve', '5000'], { stdio: ['ignore', 'pipe', 'inherit'] }),
  )
  children.push(child)
  await once(child.stdout, 'data')
}

async function attach(name: string, digit: string, ipv6 = true): Promise<Attachment> {
  const pools = [{ pool: `10.${digit}.0.0/24` }, ...(ipv6 ? [{ pool: `fd0${digit}::/64` }] : [])]
  const network: Network = await net.createNetwork({ name: `network of ${name}`, ipam: { pools } })
  return net.attach({ network, endpoint: { name }, sandbox: { containerId: name } })
}

/** What a client on the host hears, or in the namespace at `key`. */
async function ask(address: string, { key, at = port.hostPort }: { key?: string; at?: number } = {}): Promise<string> {
  const start = (): ChildProcess =>
    spawn('python3', [SOCKETS, 'ask', address, String(at)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const child = key === undefined ? start() : inNamespaceAt(key, start)
  return (await text(child.stdout!)).trim()
}

function isHeld(address?: string): boolean {
  try {
    holdPort({ protocol: 'sctp', port: port.hostPort, address }).close()
    return false
  } catch {
    return true
  }
}

/** Ids of the proxy processes of this test's controller. */
function proxies(): number[] {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return processes.filter((pid) => commandOf(pid).includes(`--control\0${folder}`)).map(Number)
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return '' // it has ended meanwhile
  }
}

async function said(kind: ControllerEvent['kind']): Promise<number> {
  let count = 0
  for await (const event of net.events({ after: 0, signal: AbortSignal.timeout(50) }))
    count += Number(event.kind === kind)
  return count
}

describeKernel('a published SCTP port, asked for by real sockets', () => {
  it.each(['nftables', 'iptables'] as const)('leads to its container, over both families (%s)', async (firewall) => {
    await open({ firewall })
    const other = await attach('other', '9')
    await web.endpoint.publish([port])
    const { key } = other.sandbox

    expect([await ask('10.9.0.1', { key }), await ask('fd09::1', { key })]).toEqual(['hello', 'hello'])
    expect([await ask('10.8.0.1'), await ask('fd08::1'), await ask('127.0.0.1')]).toEqual(['hello', 'hello', 'hello'])
  })

  it('is held while it is published, on every address', async () => {
    await open()
    await web.endpoint.publish([port])
    expect([isHeld(), isHeld('127.0.0.1'), isHeld('::1')]).toEqual([true, true, true])

    await web.endpoint.unpublish([port])

    expect([isHeld(), await ask('10.8.0.1')]).toEqual([false, 'Connection refused'])
  })

  it('does not answer at ::1 where no proxy is asked for', async () => {
    await open()
    await web.endpoint.publish([port])

    expect(await ask('::1')).toBe('Connection refused')
  })

  it.each([
    ['IPv4 alone', false],
    ['both families', true],
  ])('answers at ::1 through the proxy, of a container with %s, and is held', async (_what, ipv6) => {
    await open({ userlandProxy: 'auto', ipv6 })
    await web.endpoint.publish([port])

    expect([await ask('::1'), await ask('127.0.0.1')]).toEqual(['hello', 'hello'])
    expect([isHeld(), isHeld('127.0.0.1'), isHeld('::1')]).toEqual([true, true, true])

    await web.endpoint.unpublish([port])
    expect([await ask('::1'), isHeld()]).toEqual(['Connection refused', false])
  })

  it('answers at ::1 again when the proxy was killed', async () => {
    await open({ userlandProxy: 'auto' })
    await web.endpoint.publish([port])
    const [proxy] = proxies()

    process.kill(proxy!, 'SIGKILL')

    await expect.poll(() => said('proxy-restored'), { timeout: 60_000 }).toBe(1)
    expect(await ask('::1')).toBe('hello')
  })
})
