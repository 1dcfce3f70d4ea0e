import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import packet, { type DecodedPacket } from 'dns-packet'
import { expect, it } from 'vitest'
import { FairSlots, openResolver, type Resolver, type ResolverDeps, type ResolverOptions } from '../src/index.ts'
import { addressesIn, askByTcp, askByUdp, decodeAnswer, edns, encodeQuestion } from './client.ts'
import { createTestSandbox, type TestSandbox } from './sandbox.ts'
import { addresses, reply, startUpstream, type Behaviour, type TestUpstream } from './upstream-server.ts'

await enterFreshHost()

const dns = { address: '127.0.0.11', port: 53 }

/** A sandbox with a resolver that asks servers of the host, which behave as told. */
async function lab(
  behaviours: readonly Behaviour[],
  options: Partial<ResolverOptions> = {},
  deps: Partial<ResolverDeps> = {},
): Promise<AsyncDisposable & { sandbox: TestSandbox; resolver: Resolver; upstreams: TestUpstream[] }> {
  const sandbox = createTestSandbox()
  const upstreams = await Promise.all(behaviours.map((behave) => startUpstream(behave)))
  const resolver = await openResolver(
    {
      namespace: sandbox.key,
      servers: upstreams.map(({ address }) => ({ ...address, from: 'host' })),
      serverTimeoutMs: 500,
      ...options,
    },
    { sources: [], ...deps },
  )
  return {
    sandbox,
    resolver,
    upstreams,
    [Symbol.asyncDispose]: async () => {
      await resolver.close()
      for (const upstream of upstreams) await upstream[Symbol.asyncDispose]()
      sandbox[Symbol.dispose]()
    },
  }
}

const ask = async (
  { sandbox }: { sandbox: TestSandbox },
  name = 'example.com',
  type = 'A',
): Promise<DecodedPacket & { rcode: string }> =>
  decodeAnswer(await askByUdp(sandbox.key, dns, encodeQuestion(name, type)))

const answering: Behaviour = (query) => addresses(query, ['192.0.2.1'])
const silent: Behaviour = () => undefined
const refusing: Behaviour = (query) => reply(query, { rcode: 5 })
const soa = { mname: 'ns.example', rname: 'root.example', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 30 }
const missing: Behaviour = (query) =>
  reply(query, { rcode: 3, authorities: [{ type: 'SOA', name: 'example', ttl: 60, data: soa }] })

describeKernel('a name that is not known here', () => {
  it('is asked of a server of the host', async () => {
    await using at = await lab([answering])

    const answer = await ask(at, 'ExAmple.com')

    expect(answer).toMatchObject({
      rcode: 'NOERROR',
      questions: [{ name: 'ExAmple.com' }],
      answers: [{ data: '192.0.2.1' }],
    })
  })

  it.each(['127.0.0.53', '::1'])('is asked of a server in the sandbox, at %s', async (loopback) => {
    await using at = await lab([])
    await using upstream = await startUpstream(answering, { key: at.sandbox.key, loopback })
    at.resolver.setServers([upstream.address])

    expect((await ask(at)).rcode).toBe('NOERROR')
    at.resolver.setServers([{ ...upstream.address, from: 'host' }])
    expect((await ask(at)).rcode).toBe('SERVFAIL')
  })

  it.each(['udp', 'tcp'])('is asked of a server that the host knows on a link alone, by %s', async (transport) => {
    await using at = await lab([])
    ip('link', 'add', 'link0', 'type', 'bridge')
    ip('addr', 'add', 'fe80::53/64', 'dev', 'link0', 'nodad')
    ip('link', 'set', 'link0', 'up')
    try {
      await using upstream = await startUpstream(answering, { loopback: 'fe80::53%link0' })
      const { port } = upstream.address
      const question = encodeQuestion('example.com')
      at.resolver.setServers([
        { address: 'fe80::53%nolink', port, from: 'host' },
        { address: 'fe80::53%link0', port, from: 'host' },
      ])

      const answer =
        transport === 'udp'
          ? await askByUdp(at.sandbox.key, dns, question)
          : (await askByTcp(at.sandbox.key, dns, [question]))[0]!

      expect(addressesIn(answer)).toEqual(['192.0.2.1'])
    } finally {
      ip('link', 'delete', 'link0')
    }
  })

  it('is asked by TCP when the asker came by TCP', async () => {
    await using at = await lab([answering])

    const [answer] = await askByTcp(at.sandbox.key, dns, [encodeQuestion('example.com')])

    expect(addressesIn(answer!)).toEqual(['192.0.2.1'])
    expect(at.upstreams[0]!.heard).toEqual(['tcp example.com A'])
  })

  it('is asked beside hundreds of others, each with an answer of its own', async () => {
    const warnings: Error[] = []
    process.on('warning', (warning) => warnings.push(warning))
    await using at = await lab([(query) => addresses(query, [`192.0.2.${query.questions![0]!.name.split('.')[0]!}`])])

    const numbers = Array.from({ length: 200 }, (_, number) => number)
    const answers = await Promise.all(numbers.map((number) => ask(at, `${number}.example`)))

    expect(answers.map((answer) => answer.answers![0])).toMatchObject(
      numbers.map((number) => ({ name: `${number}.example`, data: `192.0.2.${number}` })),
    )
    expect(warnings.map(String)).toEqual([])
  })

  it('is asked of nobody by a sandbox that may not reach outside', async () => {
    await using at = await lab([answering], { servers: [] })

    expect((await ask(at)).rcode).toBe('SERVFAIL')
    expect(at.upstreams[0]!.heard).toEqual([])
  })

  it('is asked once for all who ask it at the same time, each in his own spelling', async () => {
    await using at = await lab([answering], { cacheEntries: 0 })
    const spellings = ['Slow.example', 'sLow.example', 'slOw.example', 'slow.eXample']

    const answers = await Promise.all(
      spellings.map(async (name) => decodeAnswer(await askByUdp(at.sandbox.key, dns, encodeQuestion(name)))),
    )

    expect(answers.map(({ questions }) => questions?.[0]?.name)).toEqual(spellings)
    expect(answers.map(({ answers: found }) => found?.length)).toEqual([1, 1, 1, 1])
    expect(at.upstreams[0]!.heard).toHaveLength(1)
  })
})

describeKernel('a server', () => {
  it.each<[string, Behaviour]>([
    ['says nothing', silent],
    ['refuses', refusing],
    ['fails', (query) => reply(query, { rcode: 2 })],
    ['answers garbage', () => Buffer.from('garbage, and long enough for a header')],
    ['answers with another id', (query) => addresses({ ...query, id: (query.id! + 1) & 0xffff }, ['203.0.113.66'])],
    [
      'answers another question',
      (query) => addresses({ ...query, questions: [{ name: 'evil.example', type: 'A' }] }, ['203.0.113.66']),
    ],
    [
      'answers another type',
      (query) => addresses({ ...query, questions: [{ name: 'example.com', type: 'AAAA' }] }, ['203.0.113.66']),
    ],
    ['sends the question back', (query) => packet.encode({ ...query, type: 'query' })],
    ['lies about its records', (query) => withCount(addresses(query, ['203.0.113.66']), 10_000)],
    ['cuts its answer short', (query) => addresses(query, ['203.0.113.66']).subarray(0, -1)],
  ])('that %s is passed over', async (_what, behave) => {
    await using at = await lab([behave, answering])

    expect(await ask(at)).toMatchObject({ rcode: 'NOERROR', answers: [{ data: '192.0.2.1' }] })
    expect(at.upstreams.map(({ heard }) => heard.length)).toEqual([1, 1])
  })

  it('is heard after forged answers', async () => {
    await using at = await lab([
      // More than are looked at in one turn of the event loop.
      (query) => [
        ...Array.from({ length: 40 }, (_, by) =>
          addresses({ ...query, id: (query.id! + 1 + by) & 0xffff }, ['203.0.113.66']),
        ),
        addresses({ ...query, questions: [{ name: 'evil.example', type: 'A' }] }, ['203.0.113.66']),
        addresses(query, ['192.0.2.1']),
      ],
    ])

    expect(await ask(at)).toMatchObject({ answers: [{ data: '192.0.2.1' }] })
  })

  it('that is not there is passed over at once', async () => {
    await using at = await lab([answering], { serverTimeoutMs: 60_000, timeoutMs: 60_000 })
    const gone = await startUpstream(silent)
    await gone[Symbol.asyncDispose]()
    at.resolver.setServers([gone.address, at.upstreams[0]!.address].map((server) => ({ ...server, from: 'host' })))

    expect((await ask(at)).rcode).toBe('NOERROR')
    const [byTcp] = await askByTcp(at.sandbox.key, dns, [encodeQuestion('other.example')])
    expect(decodeAnswer(byTcp!).rcode).toBe('NOERROR')
  })

  it('that says a name does not exist is believed', async () => {
    await using at = await lab([missing, answering])

    expect((await ask(at)).rcode).toBe('NXDOMAIN')
    expect(at.upstreams[1]!.heard).toEqual([])
  })

  it('that cuts its answer is asked again by TCP', async () => {
    const many = Array.from({ length: 3000 }, (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`)
    await using at = await lab([
      (query, transport) =>
        transport === 'tcp' ? compressed(query, many) : reply(query, { flags: packet.TRUNCATED_RESPONSE }),
    ])

    const small = await askByUdp(at.sandbox.key, dns, encodeQuestion('big.example'))
    const large = await askByUdp(at.sandbox.key, dns, encodeQuestion('big.example', 'A', edns(4096)))
    const [whole] = await askByTcp(at.sandbox.key, dns, [encodeQuestion('big.example')])

    expect(at.upstreams[0]!.heard.slice(0, 2)).toEqual(['udp big.example A', 'tcp big.example A'])
    expect(small.length).toBeLessThanOrEqual(512)
    expect(decodeAnswer(small)).toMatchObject({ flag_tc: true })
    expect(large.length).toBeLessThanOrEqual(4096)
    expect(addressesIn(whole!)).toEqual(many)
  })

  it('that answers at length by UDP, as the asker allowed, is passed on as it is', async () => {
    const many = Array.from({ length: 1500 }, (_, index) => `10.0.${index >> 8}.${index & 255}`)
    await using at = await lab([(query) => compressed(query, many)])

    const answer = await askByUdp(at.sandbox.key, dns, encodeQuestion('big.example', 'A', edns(60_000)))

    expect(addressesIn(answer)).toEqual(many)
    expect(at.upstreams[0]!.heard).toEqual(['udp big.example A'])
  })

  it.each<[string, Behaviour]>([
    ['breaks the connection off', (query, transport) => (transport === 'tcp' ? 'reset' : cut(query))],
    ['says nothing by TCP', (query, transport) => (transport === 'tcp' ? undefined : cut(query))],
  ])('that cuts its answer and %s: the asker is told to come by TCP', async (_what, behave) => {
    await using at = await lab([behave])

    expect(await ask(at)).toMatchObject({ rcode: 'NOERROR', flag_tc: true })
  })

  it('is asked again after a second, should the question have been lost', async () => {
    let times = 0
    await using at = await lab([(query) => (++times === 1 ? undefined : addresses(query, ['192.0.2.1']))], {
      serverTimeoutMs: 10_000,
    })

    expect((await ask(at)).rcode).toBe('NOERROR')
  })
})

describeKernel('when nobody answers', () => {
  it('the answer is SERVFAIL within the time stated', async () => {
    await using at = await lab([silent, silent, silent], { serverTimeoutMs: 10_000, timeoutMs: 500 })
    const begin = performance.now()

    expect((await ask(at)).rcode).toBe('SERVFAIL')
    expect(performance.now() - begin).toBeLessThan(8000)
  })

  it('closing does not wait', async () => {
    await using at = await lab([silent], { serverTimeoutMs: 60_000, timeoutMs: 60_000 })
    const heard = at.upstreams[0]!.nextQuestion()
    const asked = askByTcp(at.sandbox.key, dns, [encodeQuestion('example.com')])
    await heard

    await at.resolver.close()

    expect(await asked).toEqual([])
    expect(() => {
      at.resolver.setServers([])
    }).toThrow('resolver is closed')
  })

  it('who asks too much at a time is refused, and others are not', async () => {
    const slots = new FairSlots({ total: 2, each: 1 })
    await using greedy = await lab([silent], { serverTimeoutMs: 200, timeoutMs: 5000 }, { slots })
    await using modest = await lab([answering], {}, { slots })
    const first = greedy.upstreams[0]!.nextQuestion()
    const asked = ['a', 'b', 'c'].map((name) => ask(greedy, `${name}.example`))
    await first

    expect((await ask(modest)).rcode).toBe('NOERROR')
    expect((await Promise.all(asked)).map(({ rcode }) => rcode)).toContain('REFUSED')
  })
})

describeKernel('a resolver among its own servers', () => {
  it('is left out', async () => {
    await using at = await lab([answering])
    at.resolver.setServers([{ address: '127.0.0.11' }, { ...at.upstreams[0]!.address, from: 'host' }])

    expect((await ask(at)).rcode).toBe('NOERROR')
    expect(at.upstreams[0]!.heard).toHaveLength(1)
  })

  it('behind a server that asks it in turn is asked once', async () => {
    await using at = await lab([], { serverTimeoutMs: 600, timeoutMs: 600 })
    await using forwarder = await startUpstream(
      (query) => {
        // What it is asked it asks of us, as it is.
        void askByUdp(at.sandbox.key, dns, packet.encode({ ...query, type: 'query' })).catch(() => undefined)
        return undefined
      },
      { key: at.sandbox.key },
    )
    at.resolver.setServers([forwarder.address])

    expect((await ask(at)).rcode).toBe('SERVFAIL')
    expect(forwarder.heard).toHaveLength(1)
  })
})

describeKernel('an answer of a server', () => {
  it('is kept for as long as it says', async () => {
    const clock = { ms: 0 }
    await using at = await lab([answering], {}, { now: () => clock.ms })
    const first = await ask(at)
    clock.ms = 20_000
    const second = await ask(at, 'EXAMPLE.com')
    clock.ms = 61_000
    await ask(at)

    expect([first, second].map(({ answers }) => answers![0]!)).toMatchObject([{ ttl: 60 }, { ttl: 40 }])
    expect(second.questions![0]!.name).toBe('EXAMPLE.com')
    expect(at.upstreams[0]!.heard).toHaveLength(2)
  })

  it('that there is no such name is kept for as long as its SOA says', async () => {
    const clock = { ms: 0 }
    await using at = await lab([missing], {}, { now: () => clock.ms })
    for (const ms of [0, 29_000, 31_000]) {
      clock.ms = ms
      expect((await ask(at)).rcode).toBe('NXDOMAIN')
    }

    expect(at.upstreams[0]!.heard).toHaveLength(2)
  })

  it.each<[string, Behaviour, Partial<ResolverOptions>]>([
    ['where that is not wanted', answering, { cacheEntries: 0 }],
    ['for no time at all', (query) => addresses(query, ['192.0.2.1'], 0), {}],
    ['that there is nothing, without a SOA', (query) => reply(query), {}],
    ['of failure', refusing, {}],
  ])('is not kept %s', async (_what, behave, options) => {
    await using at = await lab([behave], options)
    await ask(at)
    await ask(at)

    expect(at.upstreams[0]!.heard).toHaveLength(2)
  })

  it('is told before it is sent', async () => {
    const told: unknown[] = []
    await using at = await lab(
      [answering],
      {},
      { onAnswer: ({ name }, found, ttl) => void told.push([name, found, ttl]) },
    )

    await ask(at)

    expect(told).toEqual([['example.com', [{ name: 'example.com', address: '192.0.2.1' }], 60]])
  })
})

function withCount(bytes: Uint8Array, answers: number): Uint8Array {
  const changed = Buffer.from(bytes)
  changed.writeUInt16BE(answers, 6)
  return changed
}

function cut(query: DecodedPacket): Uint8Array {
  return reply(query, { flags: packet.TRUNCATED_RESPONSE })
}

/** Many addresses of the name asked for, which each record only points to: the other encoder does not compress. */
function compressed(query: DecodedPacket, data: readonly string[]): Uint8Array {
  const records = data.map((address) => [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)])
  return withCount(Buffer.concat([reply(query), Uint8Array.from(records.flat())]), data.length)
}
