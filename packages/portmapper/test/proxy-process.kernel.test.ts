import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { listBoundSockets } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openControlFolder } from '../src/control/control-folder.ts'
import { openProxyProcess, type Forward, type ProxyProcess } from '../src/index.ts'
import { ask, connected, exchange, tcpEcho, udpClient, udpEcho, type Echo } from './echo.ts'

await enterFreshHost()

/** A program that has a proxy process serve one port, and does nothing more. */
const CONTROLLER = fileURLToPath(new URL('controller.mjs', import.meta.url))

let base: string
let folder: string
let proxy: ProxyProcess
let echo: Echo

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'proxy-'))
  // Deeper than the address of a Unix socket is long.
  folder = join(base, 'deep'.repeat(30), 'proxy')
  proxy = await openProxyProcess({ folder })
  echo = await tcpEcho('127.0.0.1')
})
afterEach(async () => {
  const last = await openProxyProcess({ folder })
  const { pid } = last
  await last.apply([])
  if (pid !== undefined) await expect.poll(() => isAlive(pid)).toBe(false)
  await last.close()
  await proxy.close()
  await echo[Symbol.asyncDispose]()
  expect(listBoundSockets('tcp')).toEqual([])
  rmSync(base, { recursive: true })
})

function forward(port: number, changes: Partial<Forward> = {}): Forward {
  return { protocol: 'tcp', address: '::1', port, containerAddress: '127.0.0.1', containerPort: echo.port, ...changes }
}

async function answers(port: number): Promise<string> {
  const client = await connected('::1', port)
  try {
    return await exchange(client, 'hello')
  } finally {
    client.destroy()
  }
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}/exe`) && statSync(`/proc/${pid}`).isDirectory()
}

/** Kills the process and waits until this side has noticed. */
async function killProxy(): Promise<void> {
  process.kill(proxy.pid ?? 0, 'SIGKILL')
  await expect.poll(() => proxy.pid).toBeUndefined()
}

describeKernel('a proxy process', () => {
  it('is there from the first forward to the last', async () => {
    expect(proxy.pid).toBeUndefined()
    expect(existsSync(folder)).toBe(false)

    await proxy.change({ add: [forward(8080), forward(8081)] })
    const { pid = 0 } = proxy
    expect([await answers(8080), await answers(8081)]).toEqual(['hello', 'hello'])

    await proxy.change({ remove: [forward(8080)] })
    await expect(answers(8080)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect([await answers(8081), proxy.pid]).toEqual(['hello', pid])

    await proxy.change({ remove: [forward(8081)] })
    await expect.poll(() => isAlive(pid)).toBe(false)
    expect(readdirSync(folder)).toEqual([])
    await proxy.close()
    expect(existsSync(folder)).toBe(false)
  })

  it('serves all of many forwards, and ranges', async () => {
    const many = Array.from({ length: 400 }, (_, at) => forward(10_000 + at))
    await proxy.apply([...many, forward(20_000, { count: 300, containerPort: echo.port - 299 })])

    expect([await answers(10_399), await answers(20_299)]).toEqual(['hello', 'hello'])
    expect(proxy.forwards).toHaveLength(401)
    await proxy.apply([forward(10_399)])
    expect(await answers(10_399)).toBe('hello')
    await expect(answers(10_398)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('carries UDP', async () => {
    await using udp = await udpEcho('127.0.0.1')
    await proxy.apply([forward(5353, { protocol: 'udp', containerPort: udp.port })])
    await using client = await udpClient('::1', 5353)

    expect(await ask(client, 'hello')).toBe('hello')
  })

  it('leads elsewhere when that is wanted, though it is its only forward', async () => {
    await using other = await tcpEcho('127.0.0.1')
    await proxy.apply([forward(8080, { containerPort: 1 })])
    const { pid } = proxy

    await proxy.apply([forward(8080, { containerPort: other.port })])

    expect([await answers(8080), proxy.pid]).toEqual(['hello', pid])
  })

  it('is asked nothing when the same is wanted again', async () => {
    await proxy.apply([forward(8080)])
    const client = await connected('::1', 8080)
    await exchange(client, 'before')

    await proxy.apply([forward(8080, { address: '0::1', count: 1 })])

    expect(await exchange(client, 'after')).toBe('after')
    client.destroy()
  })

  it('is started again when it was killed, with all that is wanted', async () => {
    await proxy.apply([forward(8080)])
    const { pid } = proxy
    await killProxy()
    await expect(answers(8080)).rejects.toMatchObject({ code: 'ECONNREFUSED' })

    await proxy.change({ add: [forward(8081)] })

    expect([await answers(8080), await answers(8081)]).toEqual(['hello', 'hello'])
    expect(proxy.pid).not.toBe(pid)
  })

  it('is not started for the end of a forward that went with it', async () => {
    await proxy.apply([forward(8080)])
    await killProxy()

    await proxy.change({ remove: [forward(8080)] })

    expect(proxy.pid).toBeUndefined()
  })

  it('refuses what cannot be, and serves what it served', async () => {
    await proxy.apply([forward(8080)])
    const other = createServer().listen(8082, '::1')
    await once(other, 'listening')

    await expect(proxy.change({ add: [forward(8081), forward(8082)], remove: [forward(8080)] })).rejects.toMatchObject({
      code: 'ERR_PROXY_REFUSED',
      kind: 'forbidden',
      reason: 'ERR_SYSTEM_CALL',
    })
    await expect(proxy.change({ add: [forward(9000, { protocol: 'sctp' })] })).rejects.toMatchObject({
      reason: 'ERR_SCTP_UNSUPPORTED',
      kind: 'not-implemented',
    })

    expect(await answers(8080)).toBe('hello')
    await expect(answers(8081)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(proxy.forwards).toEqual([forward(8080)])
    other.close()
  })

  it('can be given up waiting for, and is asked again', async () => {
    await proxy.apply([forward(8080)])
    const { pid = 0 } = proxy
    process.kill(pid, 'SIGSTOP')
    const given = proxy.apply([forward(8080), forward(8081)], { signal: AbortSignal.timeout(100) })

    await expect(given.finally(() => process.kill(pid, 'SIGCONT'))).rejects.toMatchObject({ name: 'TimeoutError' })

    await proxy.apply([forward(8080), forward(8082)])
    expect([await answers(8080), await answers(8082), proxy.pid]).toEqual(['hello', 'hello', pid])
    await expect(answers(8081)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('is nobody else’s to control', async () => {
    await proxy.apply([forward(8080)])

    expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder, 'control')).mode & 0o777).toBe(0o600 | 0o100)
  })

  it.each([
    ['HTTP', 'GET / HTTP/1.1\r\n\r\n'],
    ['half a request', '{"id":1,"do":"change"}\n'],
    ['a line without an end', 'x'.repeat(100_000)],
  ])('hangs up on who speaks otherwise, and goes on: %s', async (_what, hostile) => {
    await proxy.apply([forward(8080)])
    using opened = openControlFolder(folder)
    const socket = connect(opened!.socket)
    socket.on('error', () => undefined)
    socket.end(hostile)
    await new Promise((resolve) => socket.resume().once('close', resolve))

    await proxy.change({ add: [forward(8081)] })
    expect(await answers(8081)).toBe('hello')
  })
})

describeKernel('a controller that ends', () => {
  let controller: ChildProcess

  const start = async (...args: readonly string[]): Promise<number> => {
    controller = spawn(process.execPath, [CONTROLLER, folder, JSON.stringify(forward(8080)), ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const [said] = (await once(controller.stdout!, 'data')) as [Buffer]
    return Number(said.toString())
  }
  const kill = async (): Promise<void> => {
    controller.kill('SIGKILL')
    await once(controller, 'exit')
  }

  it('is survived by its proxy and what goes through it, and its successor finds both', async () => {
    const pid = await start()
    const client = await connected('::1', 8080)
    expect(await exchange(client, 'before')).toBe('before')

    await kill()
    expect(await exchange(client, 'alone')).toBe('alone')
    expect(await answers(8080)).toBe('hello')

    const successor = await openProxyProcess({ folder })
    expect([successor.pid, successor.forwards]).toEqual([pid, [forward(8080)]])
    await successor.apply([forward(8080), forward(8081)])
    expect(await exchange(client, 'adopted')).toBe('adopted')
    expect(await answers(8081)).toBe('hello')
    await successor.close()
    client.destroy()
  })

  it('takes its proxy with it where that is wanted', async () => {
    const pid = await start('--ends-with-client')

    await kill()

    await expect.poll(() => isAlive(pid)).toBe(false)
  })
})
