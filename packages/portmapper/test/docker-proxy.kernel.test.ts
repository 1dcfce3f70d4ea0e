import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { AnsweringSocket, hasSctp, listenStream } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, expect, it } from 'vitest'
import { ask, connected, exchange, tcpEcho, udpClient, udpEcho } from './echo.ts'

await enterFreshHost()

/** As it is built: the program is what is looked at. */
const PROGRAM = fileURLToPath(new URL('../dist/main.js', import.meta.url))

let child: ChildProcess | undefined
afterEach(async () => {
  if (child?.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
})

/** Starts the proxy as Docker does, and says what it says on its status descriptor. */
async function start(line: string, listenFd?: number): Promise<string> {
  const stdio = ['ignore', 'pipe', 'pipe', 'pipe', ...(listenFd === undefined ? [] : [listenFd])] as const
  child = spawn(process.execPath, [PROGRAM, ...line.split(' ')], { stdio: [...stdio] })
  return text(child.stdio[3] as Readable)
}

/** Tells it to end, and waits for that. */
async function end(signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child!, 'exit')
  child?.kill(signal)
  const [status] = (await exited) as [number | null]
  return status
}

describeKernel('net-proxy in the place of docker-proxy', () => {
  it('says on descriptor 3 that it serves, and ends with status 0 when told to', async () => {
    await using echo = await tcpEcho('127.0.0.1')

    expect(
      await start(`-proto tcp -host-ip ::1 -host-port 8080 -container-ip 127.0.0.1 -container-port ${echo.port}`),
    ).toBe('0\n')
    const client = await connected('::1', 8080)
    expect(await exchange(client, 'hello')).toBe('hello')
    client.on('error', () => undefined)

    expect(await end('SIGINT')).toBe(0)
    await expect(connected('::1', 8080)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('carries UDP, until SIGTERM', async () => {
    await using echo = await udpEcho('127.0.0.1')

    expect(
      await start(`-proto udp -host-ip 0.0.0.0 -host-port 5353 -container-ip 127.0.0.1 -container-port ${echo.port}`),
    ).toBe('0\n')
    await using client = await udpClient('127.0.0.2', 5353)
    expect(await ask(client, 'hello')).toBe('hello')

    expect(await end('SIGTERM')).toBe(0)
  })

  it('leaves IPv4 to others when it serves every address of IPv6', async () => {
    expect(await start('-host-ip :: -host-port 8080 -container-ip 127.0.0.1 -container-port 80')).toBe('0\n')

    const { fd } = listenStream({ address: '0.0.0.0', port: 8080 })
    closeSync(fd)
  })

  it.each(['tcp', 'udp'] as const)('serves a %s socket that it is handed on descriptor 4', async (protocol) => {
    await using echo = await (protocol === 'tcp' ? tcpEcho : udpEcho)('127.0.0.1')
    const at = { address: '127.0.0.1', port: 8080 }
    const options = `-proto ${protocol} -host-ip 127.0.0.1 -host-port 8080 -container-ip 127.0.0.1 -use-listen-fd`
    if (protocol === 'tcp') {
      const { fd } = listenStream(at)
      expect(await start(`${options} -container-port ${echo.port}`, fd)).toBe('0\n')
      closeSync(fd)
      const client = await connected('127.0.0.1', 8080)
      expect(await exchange(client, 'hello')).toBe('hello')
      client.destroy()
    } else {
      const bound = AnsweringSocket.bind(at)
      expect(await start(`${options} -container-port ${echo.port}`, bound.fd)).toBe('0\n')
      bound.close()
      await using client = await udpClient('127.0.0.1', 8080)
      expect(await ask(client, 'hello')).toBe('hello')
    }
  })

  it.each([
    ['-proto icmp -host-ip ::1 -host-port 8080 -container-ip ::1 -container-port 80', '1\nunsupported protocol icmp'],
    ['-host-ip 192.0.2.1 -host-port 8080 -container-ip ::1 -container-port 80', '1\nbind: EADDRNOTAVAIL'],
    ['-host-ip ::1 -container-ip ::1', '1\ninvalid value "-1" for flag -host-port'],
  ])('says why it does not serve, with status 1: %s', async (line, status) => {
    const said = start(line)
    const [code] = (await once(child!, 'exit')) as [number]

    expect(await said).toMatch(status)
    expect(code).toBe(1)
  })

  it.skipIf(hasSctp())('says that it does not serve SCTP where the kernel has none', async () => {
    const said = start('-proto sctp -host-ip ::1 -host-port 8080 -container-ip ::1 -container-port 80')
    const [code] = (await once(child!, 'exit')) as [number]

    expect([await said, code]).toEqual(['1\nunsupported protocol sctp: sctp [::1]:8080 to [::1]:80', 1])
  })

  it('says its version', async () => {
    void start('-v')

    expect(await text(child!.stdout!)).toMatch(/^net-proxy version \d+\.\d+\.\d+\n$/)
  })

  it('started by hand says on standard error why it does not serve', async () => {
    child = spawn(process.execPath, [PROGRAM, '-proto', 'icmp'], { stdio: ['ignore', 'ignore', 'pipe'] })

    expect(await text(child.stderr!)).toBe('net-proxy: unsupported protocol icmp\n')
  })
})
