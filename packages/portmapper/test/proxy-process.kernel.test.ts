import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { hasSctp, listBoundSockets } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ControlConnection } from '../src/control/control-connection.ts'
import { openControlFolder } from '../src/control/control-folder.ts'
import { formatMessage } from '../src/control/messages.ts'
import { openProxyProcess, type Forward, type ProxyProcess } from '../src/index.ts'
import { ask, connected, exchange, tcpEcho, udpClient, udpEcho, type Echo } from './echo.ts'

await enterFreshHost()

/** A program that has a proxy process serve one port, and does nothing more. */
const CONTROLLER = fileURLToPath(new URL('controller.mjs', import.meta.url))

/** To start a process takes its time where others do much. */
const patient = { timeout: 10_000 }

let base: string
let folder: string
let proxy: ProxyProcess
/** What was told of it. */
let told: string[]
let echo: Echo

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'proxy-'))
  // Deeper than the address of a Unix socket is long.
  folder = join(base, 'deep'.repeat(30), 'proxy')
  told = []
  proxy = await open()
  echo = await tcpEcho('127.0.0.1')
})
afterEach(async () => {
  await proxy.close()
  const last = await openProxyProcess({ folder })
  const { pid } = last
  await last.apply([])
  if (pid !== undefined) await expect.poll(() => isAlive(pid)).toBe(false)
  await last.close()
  await echo[Symbol.asyncDispose]()
  expect(listBoundSockets('tcp')).toEqual([])
  rmSync(base, { recursive: true })
})

/** Opens the process as a test wants it, and hears what is told of it. */
function open(restartDelaysMs?: readonly number[]): Promise<ProxyProcess> {
  return openProxyProcess(
    { folder, restartDelaysMs },
    {
      onLost: (error) => told.push(error === undefined ? 'lost' : `left: ${error.message}`),
      onRestored: () => told.push('restored'),
    },
  )
}

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

/** Whether a process has ended with all its threads, its sockets closed; nobody has asked how. */
function hasEnded(pid: number): boolean {
  return stateOf(pid) === 'Z' && readdirSync(`/proc/${pid}/task`).length === 1
}

/** As proc_pid_stat(5): `T` is stopped, `Z` has ended. */
function stateOf(pid: number): string | undefined {
  return / \((?:.*)\) (.)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]
}

/** Ids of the proxy processes of this test's folder. */
function proxies(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) && isProxy(name) ? Number(name) : []))
}

function isProxy(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`--control\0${folder}`)
  } catch {
    return false // it has ended meanwhile
  }
}

/** Kills the process and waits until this side has noticed. */
async function killProxy(): Promise<void> {
  const lost = told.length
  process.kill(proxy.pid!, 'SIGKILL')
  await expect.poll(() => told.length, patient).toBeGreaterThan(lost)
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

  it('refuses what cannot be, and serves what it served', async () => {
    await proxy.apply([forward(8080)])
    const other = createServer().listen(8082, '::1')
    await once(other, 'listening')

    await expect(proxy.change({ add: [forward(8081), forward(8082)], remove: [forward(8080)] })).rejects.toMatchObject({
      code: 'ERR_PROXY_REFUSED',
      kind: 'forbidden',
      reason: 'ERR_SYSTEM_CALL',
    })

    expect(await answers(8080)).toBe('hello')
    await expect(answers(8081)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(proxy.forwards).toEqual([forward(8080)])
    other.close()
  })

  it.skipIf(hasSctp())('refuses SCTP where the kernel has none, and serves what it served', async () => {
    await proxy.apply([forward(8080)])

    await expect(proxy.change({ add: [forward(9000, { protocol: 'sctp' })] })).rejects.toMatchObject({
      code: 'ERR_PROXY_REFUSED',
      reason: 'ERR_SCTP_UNSUPPORTED',
      kind: 'not-implemented',
    })

    expect([await answers(8080), proxy.forwards]).toEqual(['hello', [forward(8080)]])
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

  it('goes on when those who ask are gone before they are answered', async () => {
    await proxy.apply([forward(8080)])
    const many = Array.from({ length: 100 }, (_, at) => forward(9000 + at))
    for (let delayMs = 0; delayMs < 8; delayMs += 0.5) {
      using opened = openControlFolder(folder)
      const socket = connect(opened!.socket)
      socket.on('error', () => undefined)
      await once(socket, 'connect')
      socket.write(formatMessage({ id: 0, do: 'change', remove: many, add: many }))
      await sleep(delayMs)
      socket.destroy()
    }

    await proxy.apply([forward(8081)])
    expect(await answers(8081)).toBe('hello')
  })

  it('is not waited for for ever when it does not answer', async () => {
    await proxy.apply([forward(8080)])
    const { pid = 0 } = proxy
    process.kill(pid, 'SIGSTOP')
    const opening = openProxyProcess({ folder, startTimeoutMs: 100 })

    await expect(opening.finally(() => process.kill(pid, 'SIGCONT'))).rejects.toMatchObject({
      code: 'ERR_PROXY_TIMEOUT',
      message: expect.stringContaining(folder) as string,
    })
  })

  it('is not there when it ends before it answers the door', patient, async () => {
    await proxy.apply([forward(8080)])
    const pid = proxy.pid ?? 0
    process.kill(pid, 'SIGSTOP')
    while (stateOf(pid) !== 'T') await sleep(1)

    const connecting = ControlConnection.connect(folder)
    process.kill(pid, 'SIGKILL')
    // In this turn of the event loop: in the next, the connection would be there.
    while (!hasEnded(pid)) spawnSync('sleep', ['0.01'])

    expect(await connecting).toBeUndefined()
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

describeKernel('a proxy process that is killed', () => {
  /** Has the process under test be one that is started again so often. */
  const reopen = async (restartDelaysMs: readonly number[]): Promise<void> => {
    await proxy.close()
    proxy = await open(restartDelaysMs)
  }

  it('is started again at once, with all that is wanted', async () => {
    await proxy.apply([forward(8080), forward(9000, { count: 3, containerPort: echo.port - 2 })])
    const { pid } = proxy

    await killProxy()
    await expect.poll(() => told, patient).toEqual(['lost', 'restored'])

    expect([await answers(8080), await answers(9002)]).toEqual(['hello', 'hello'])
    expect(proxy.pid).not.toBe(pid)
  })

  it('is again and again, if less and less at once', async () => {
    await proxy.apply([forward(8080)])

    for (let time = 1; time <= 4; time++) {
      await killProxy()
      await expect.poll(() => told.filter((what) => what === 'restored'), patient).toHaveLength(time)
      expect(await answers(8080)).toBe('hello')
    }
  })

  it('is not for ever, and is by what is asked for next', async () => {
    await reopen([0, 2000])
    await proxy.apply([forward(8080)])
    for (let kills = 1; kills <= 3; kills++) {
      process.kill(proxy.pid!, 'SIGKILL')
      await expect.poll(() => told, patient).toHaveLength(2 * kills)
    }

    expect(told).toEqual(['lost', 'restored', 'lost', 'restored', 'lost', 'left: userland proxy ended'])
    await expect(answers(8080)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await proxy.change({ add: [forward(8081)] })

    expect([await answers(8080), await answers(8081), told.at(-1)]).toEqual(['hello', 'hello', 'restored'])
  })

  it('is as often as before once it has lasted', async () => {
    await reopen([50])
    await proxy.apply([forward(8080)])

    for (let time = 1; time <= 3; time++) {
      await killProxy()
      await expect.poll(() => told, patient).toHaveLength(2 * time)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }

    expect(told).toEqual(Array.from({ length: 3 }, () => ['lost', 'restored']).flat())
  })

  it('is left dead when it cannot be started, which is said', async () => {
    await reopen([0, 1, 1])
    await proxy.apply([forward(8080)])
    const away = `${folder}-away`
    renameSync(folder, away)
    writeFileSync(folder, '')

    await killProxy()

    await expect
      .poll(() => told, patient)
      .toEqual(['lost', expect.stringContaining('left: error starting userland proxy')])
    rmSync(folder)
    renameSync(away, folder)
    await proxy.apply([forward(8080)])
    expect([await answers(8080), told.at(-1)]).toEqual(['hello', 'restored'])
  })

  it('while a port is added serves that, too', async () => {
    await proxy.apply([forward(8080)])
    const { pid = 0 } = proxy
    process.kill(pid, 'SIGSTOP')
    const adding = proxy.change({ add: [forward(8081)] })
    process.kill(pid, 'SIGKILL')

    await adding

    expect([await answers(8080), await answers(8081)]).toEqual(['hello', 'hello'])
    await expect.poll(() => told, patient).toEqual(['lost', 'restored'])
    expect(proxy.forwards).toEqual([forward(8080), forward(8081)])
  })

  it('is not when nothing is wanted any more', async () => {
    await reopen([300])
    await proxy.apply([forward(8080)])
    await killProxy()
    await proxy.change({ remove: [forward(8080)] })

    await new Promise((resolve) => setTimeout(resolve, 500))

    expect([proxy.pid, told]).toEqual([undefined, ['lost']])
  })

  it.each([0, 1, 50, 150, 300])('is none that close() does not wait for, %i ms later', async (delayMs) => {
    await proxy.apply([forward(8080)])
    process.kill(proxy.pid!, 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, delayMs))

    await proxy.close()

    const [heard, there] = [told.length, proxies()]
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(told).toHaveLength(heard)
    expect(there).toEqual(expect.arrayContaining(proxies()))
  })

  it('keeps nobody alive who has nothing else to do', async () => {
    await proxy.close()
    const controller = spawn(process.execPath, [CONTROLLER, folder, JSON.stringify(forward(8080)), '--leaves'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [said] = (await once(controller.stdout, 'data')) as [Buffer]

    expect(Number(said.toString())).toBeGreaterThan(0)
    expect(await once(controller, 'exit')).toEqual([0, null])
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
