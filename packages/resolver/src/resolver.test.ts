import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { silentLogger, type Logger } from '@net/types'
import packet from 'dns-packet'
import { afterEach, describe, expect, it } from 'vitest'
import { NameTable, openResolver, SandboxNames, type Resolver, type ResolverOptions } from './index.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each[Symbol.asyncDispose]()
})

async function resolverWith(options: ResolverOptions = {}, logger: Logger = silentLogger): Promise<Resolver> {
  const table = new NameTable('blue')
  table.add({ id: 'web', name: 'web', addresses: ['10.0.0.2'] })
  const names = new SandboxNames()
  names.setNetworks([{ table }])
  const resolver = await openResolver(
    { address: '127.0.0.1', redirect: false, ...options },
    { sources: [names], logger },
  )
  open.push(resolver)
  return resolver
}

/** The code of the answer to a question by UDP. */
async function ask(resolver: Resolver, name: string, type = 'A'): Promise<string> {
  const socket = createSocket('udp4')
  const answered = once(socket, 'message')
  const question = packet.encode({ type: 'query', id: 1, questions: [{ name, type: type as 'A' }] })
  const again = setInterval(() => {
    socket.send(question, resolver.listening.udpPort, '127.0.0.1')
  }, 1000)
  socket.send(question, resolver.listening.udpPort, '127.0.0.1')
  const [bytes] = (await answered) as [Buffer]
  clearInterval(again)
  socket.close()
  return (packet.decode(bytes) as unknown as { rcode: string }).rcode
}

/** A server that knows every name. */
async function server(): Promise<{ address: string; port: number }> {
  const socket = createSocket('udp4', (message, from) => {
    const { id = 0, questions = [] } = packet.decode(message)
    const name = questions[0]?.name ?? ''
    const answers = [{ type: 'A' as const, name, ttl: 60, data: '192.0.2.1' }]
    socket.send(packet.encode({ type: 'response', id, questions, answers }), from.port, from.address)
  }).bind(0, '127.0.0.1')
  await once(socket, 'listening')
  open.push({
    [Symbol.asyncDispose]: async () => {
      socket.close()
      await once(socket, 'close')
    },
  })
  return { address: '127.0.0.1', port: socket.address().port }
}

describe('a resolver', () => {
  it('counts what it has done', async () => {
    const resolver = await resolverWith({ servers: [await server()] })
    const nothing = { questions: 0, answers: {}, ready: 0, cached: 0, joined: 0, forwarded: 0, forwardMs: 0 }
    expect(resolver.statistics()).toEqual(nothing)

    for (const name of ['web', 'web', 'example.com', 'example.com']) await ask(resolver, name)
    resolver.setServers([])
    await ask(resolver, 'example.com')

    const { forwardMs, ...others } = resolver.statistics()
    expect(others).toEqual({
      ...{ questions: 5, answers: { NOERROR: 4, SERVFAIL: 1 } },
      ...{ ready: 1, cached: 1, joined: 0, forwarded: 1 },
    })
    expect(forwardMs).toBeGreaterThan(0)
  })

  it('tells the logger of every question, where that is wanted', async () => {
    const told: object[] = []
    const debug = (fields: object, message: string): void => {
      if (message === 'question answered') told.push(fields)
    }
    const resolver = await resolverWith({ logQuestions: true }, { ...silentLogger, debug })

    for (const name of ['Web', 'Web', 'nobody']) await ask(resolver, name)

    const told3 = { type: 1, transport: 'udp', ms: expect.any(Number) as number }
    expect(told).toEqual([
      { ...told3, name: 'Web', code: 0 },
      { ...told3, name: 'Web', code: 0 },
      { ...told3, name: 'nobody', code: 2 },
    ])
    expect(resolver.statistics().ready).toBe(0)
  })

  it('keeps bare names home from when it is told to, until it is told otherwise', async () => {
    const resolver = await resolverWith({ servers: [await server()], cacheEntries: 0 })
    const codes: number[] = []
    for (const forward of [true, false, true]) {
      resolver.setForwardSingleLabels(forward)
      expect(await ask(resolver, 'bare')).toBe('NOERROR')
      expect(await ask(resolver, 'with.dot')).toBe('NOERROR')
      codes.push(resolver.statistics().forwarded)
    }

    expect(codes).toEqual([2, 3, 5])
  })

  it('has the port that it is given, for both sockets, or says that it is taken', async () => {
    const free = createServer().listen(0, '127.0.0.1')
    await once(free, 'listening')
    const { port } = free.address() as AddressInfo
    free.close()
    await once(free, 'close')

    const resolver = await resolverWith({ port })

    expect(resolver.listening).toEqual({ address: '127.0.0.1', udpPort: port, tcpPort: port })
    await expect(resolverWith({ port })).rejects.toMatchObject({ code: 'ERR_SYSTEM_CALL' })
    await expect(resolverWith({ port: 70_000 })).rejects.toMatchObject({ code: 'ERR_INVALID_PORT' })
    await resolver.close()
    await expect(resolverWith({ port })).resolves.toBeDefined()
  })

  it('closes once, however it is told to', async () => {
    const resolver = await resolverWith()

    expect(resolver.close({ leaveRules: true })).toBe(resolver.close())
    await resolver.close()

    expect(() => {
      resolver.setServers([])
    }).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }) as Error)
  })
})
