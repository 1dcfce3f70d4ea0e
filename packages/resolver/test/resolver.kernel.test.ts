import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { Socket } from 'node:net'
import { connectStream, DatagramSocket, inNamespaceAt, NftablesSocket } from '@net/netlink-ffi'
import { DescriptorShortage, describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { expect, it } from 'vitest'
import { NameTable, openResolver, SandboxNames, type Resolver } from '../src/index.ts'
import { UsualPorts } from '../src/usual-ports.ts'
import { addressesIn, askByTcp, askByUdp, decodeAnswer, encodeQuestion } from './client.ts'
import { RedirectRules } from '../src/redirect.ts'
import { createTestSandbox, type TestSandbox } from './sandbox.ts'

await enterFreshHost()

const dns = { address: '127.0.0.11', port: 53 }

function namesOfBlue(): { names: SandboxNames; table: NameTable } {
  const table = new NameTable('blue')
  table.add({ id: 'e1', name: 'name1', addresses: ['192.168.0.1', 'fd00::1'] })
  const names = new SandboxNames()
  names.setNetworks([{ table }])
  return { names, table }
}

describeKernel('a resolver in a sandbox', () => {
  it('answers at 127.0.0.11 port 53 by UDP and by TCP', async () => {
    using sandbox = createTestSandbox()
    await using _resolver = await openResolver({ namespace: sandbox.key }, { sources: [namesOfBlue().names] })

    const byUdp = await askByUdp(sandbox.key, dns, encodeQuestion('NaMe1'))
    const byTcp = await askByTcp(sandbox.key, dns, [encodeQuestion('name1'), encodeQuestion('name1.blue', 'AAAA')])

    expect(addressesIn(byUdp)).toEqual(['192.168.0.1'])
    expect(decodeAnswer(byUdp).questions?.[0]?.name).toBe('NaMe1')
    expect(byTcp.map(addressesIn)).toEqual([['192.168.0.1'], ['fd00::1']])
  })

  it('is found by the resolver of a program that runs there', async () => {
    using sandbox = createTestSandbox()
    await using _resolver = await openResolver({ namespace: sandbox.key }, { sources: [namesOfBlue().names] })
    const program = `
      const { Resolver } = require('node:dns').promises
      const resolver = new Resolver()
      resolver.setServers(['127.0.0.11'])
      Promise.all([resolver.resolve4('name1'), resolver.resolve6('name1'), resolver.reverse('192.168.0.1')])
        .then((all) => console.log(JSON.stringify(all)))
    `

    const printed = await sandbox.run(process.execPath, ['-e', program])

    expect(JSON.parse(printed)).toEqual([['192.168.0.1'], ['fd00::1'], ['name1.blue']])
  })

  it('takes away sockets and rules when it closes, and can be opened again', async () => {
    using sandbox = createTestSandbox()
    for (let times = 0; times < 2; times++) {
      const resolver = await openResolver({ namespace: sandbox.key }, { sources: [namesOfBlue().names] })
      await resolver.close()
      await resolver.close()
    }
    using nftables = inNamespaceAt(sandbox.key, () => NftablesSocket.open())

    expect(nftables.listTables()).toEqual([])
    expect(await sandbox.run('ss', ['-Hlntu'])).toBe('')
  })

  it('leaves its rules where the namespace goes anyway, but nothing that hears', async () => {
    using sandbox = createTestSandbox()
    const resolver = await openResolver({ namespace: sandbox.key }, { sources: [] })

    await resolver.close({ leaveRules: true })

    expect(await sandbox.run('nft', ['list', 'ruleset'])).toContain('dport 53')
    expect(await sandbox.run('ss', ['-Hlntu'])).toBe('')
  })

  it('goes on at the same ports where its rules were left, and at others where those are taken', async () => {
    using sandbox = createTestSandbox()
    const { names } = namesOfBlue()
    const first = await openResolver({ namespace: sandbox.key }, { sources: [names] })
    const { listening } = first
    await first.close({ leaveRules: true })

    const again = await openResolver({ namespace: sandbox.key }, { sources: [names] })
    expect(again.listening).toEqual(listening)
    await again.close({ leaveRules: true })
    using _thief = inNamespaceAt(sandbox.key, () =>
      DatagramSocket.bind({ address: '127.0.0.11', port: listening.udpPort }),
    )
    await using last = await openResolver({ namespace: sandbox.key }, { sources: [names] })
    expect(last.listening.udpPort).not.toBe(listening.udpPort)
    expect(addressesIn(await askByUdp(sandbox.key, dns, encodeQuestion('name1')))).toEqual(['192.168.0.1'])
  })

  it('gets the ports that those it shares them with got, each at its own address, save where they are taken', async () => {
    const deps = { sources: [namesOfBlue().names], usualPorts: new UsualPorts() }
    using sandbox = createTestSandbox()
    await using first = await openResolver({ namespace: sandbox.key }, deps)
    const { udpPort, tcpPort } = first.listening

    using another = createTestSandbox()
    await using second = await openResolver({ namespace: another.key, address: '127.0.0.12' }, deps)
    expect(second.listening).toEqual({ address: '127.0.0.12', udpPort, tcpPort })
    const answer = await askByUdp(another.key, { address: '127.0.0.12', port: 53 }, encodeQuestion('name1'))
    expect(addressesIn(answer)).toEqual(['192.168.0.1'])

    using taken = createTestSandbox()
    using _thief = inNamespaceAt(taken.key, () => DatagramSocket.bind({ address: '127.0.0.11', port: udpPort }))
    await using third = await openResolver({ namespace: taken.key }, deps)
    expect(third.listening.udpPort).not.toBe(udpPort)
    expect(addressesIn(await askByUdp(taken.key, dns, encodeQuestion('name1')))).toEqual(['192.168.0.1'])
  })

  it('replaces the rules that a process which died left there', async () => {
    using sandbox = createTestSandbox()
    inNamespaceAt(sandbox.key, () => {
      using rules = RedirectRules.open()
      rules.leadTo({ address: '127.0.0.11', udpPort: 9, tcpPort: 9 }, new UsualPorts())
    })

    await using _resolver = await openResolver({ namespace: sandbox.key }, { sources: [namesOfBlue().names] })

    expect(addressesIn(await askByUdp(sandbox.key, dns, encodeQuestion('name1')))).toEqual(['192.168.0.1'])
  })

  it('rewrites ports without tracking connections, as nft tells', async () => {
    using sandbox = createTestSandbox()
    await using resolver = await openResolver({ namespace: sandbox.key }, { sources: [] })
    const { udpPort, tcpPort } = resolver.listening

    const rules = (await sandbox.run('nft', ['list', 'ruleset'])).split('\n').filter((line) => line.includes(' set '))

    expect(rules.map((rule) => rule.trim())).toEqual([
      `ip daddr 127.0.0.11 udp dport 53 udp dport set ${udpPort}`,
      `ip daddr 127.0.0.11 tcp dport 53 tcp dport set ${tcpPort}`,
      `ip saddr 127.0.0.11 udp sport ${udpPort} udp sport set 53`,
      `ip saddr 127.0.0.11 tcp sport ${tcpPort} tcp sport set 53`,
    ])
  })

  it('is heard where a firewall lets pass only what belongs to a connection', async () => {
    using sandbox = createTestSandbox()
    await using _resolver = await openResolver({ namespace: sandbox.key }, { sources: [namesOfBlue().names] })
    const chain = 'add table ip own; add chain ip own in { type filter hook input priority 0; }'
    const rules = ['udp sport 53 ct state != established drop', 'tcp sport 53 ct state != established drop']
    await sandbox.run('nft', [[chain, ...rules.map((rule) => `add rule ip own in ${rule}`)].join('; ')])

    const byUdp = await askByUdp(sandbox.key, dns, encodeQuestion('name1'))
    const [byTcp] = await askByTcp(sandbox.key, dns, [encodeQuestion('name1')])

    expect([byUdp, byTcp!].map(addressesIn)).toEqual([['192.168.0.1'], ['192.168.0.1']])
  })

  it('goes on after whatever came in', async () => {
    using sandbox = createTestSandbox()
    await using _resolver = await openResolver({ namespace: sandbox.key }, { sources: [namesOfBlue().names] })
    using stranger = inNamespaceAt(sandbox.key, () => DatagramSocket.connect(dns))
    const question = encodeQuestion('name1')
    for (let at = 0; at < 3000; at++) {
      const damaged = Uint8Array.from(question, (byte) =>
        Math.random() < 0.1 ? Math.floor(Math.random() * 256) : byte,
      )
      stranger.send(damaged.subarray(0, Math.random() < 0.2 ? at % question.length : undefined))
    }
    stranger.send(new Uint8Array(0))
    stranger.send(new Uint8Array(9000))
    const broken = new Socket({ fd: inNamespaceAt(sandbox.key, () => connectStream(dns)) })
    broken.end(Uint8Array.of(0xff, 0xff, 1, 2, 3))
    await once(broken.resume(), 'close')

    expect(addressesIn(await askByUdp(sandbox.key, dns, question))).toEqual(['192.168.0.1'])
  })

  it('lets the event loop turn while thousands of questions wait', async () => {
    using sandbox = createTestSandbox()
    await using _resolver = await openResolver({ namespace: sandbox.key }, { sources: [namesOfBlue().names] })
    using asker = inNamespaceAt(sandbox.key, () => DatagramSocket.connect(dns))
    // In ever new words: none of the answers is there already.
    for (let at = 0; at < 2000; at++) asker.send(encodeQuestion(`name${at}.example`))
    let turns = 0
    let answered = 0
    asker.watch(() => {
      while (asker.receive() !== undefined) answered++
    })

    while (answered < 100) {
      await new Promise((resolve) => setImmediate(resolve))
      turns++
    }

    expect(turns).toBeGreaterThan(2)
  })

  it('leaves nothing behind where it cannot be opened', async () => {
    using sandbox = createTestSandbox()
    await sandbox.run('ip', ['link', 'set', 'lo', 'down'])
    await sandbox.run('ip', ['addr', 'flush', 'dev', 'lo'])
    const before = readdirSync('/proc/self/fd').length

    await expect(openResolver({ namespace: sandbox.key, address: '192.0.2.1' }, { sources: [] })).rejects.toThrow(
      'bind: EADDRNOTAVAIL',
    )
    await expect(openResolver({ namespace: '/nowhere' }, { sources: [] })).rejects.toThrow('ENOENT')
    expect(readdirSync('/proc/self/fd').length).toBe(before)
  })

  it('leaves nothing behind whichever descriptor it cannot have', async () => {
    using sandbox = createTestSandbox()
    // Whatever is loaded or opened at first use is there already.
    await (await openResolver({ namespace: sandbox.key }, { sources: [] })).close()
    const outcomes: string[] = []
    {
      using shortage = new DescriptorShortage()
      for (let spare = 0; outcomes.at(-1) !== 'opened'; spare++) {
        shortage.giveBack(spare)
        await openResolver({ namespace: sandbox.key }, { sources: [] }).then(
          async (resolver) => {
            await resolver.close()
            outcomes.push('opened')
          },
          () => outcomes.push('refused'),
        )
        expect(shortage.takeAll()).toBe(spare)
      }
    }

    expect(outcomes.length).toBeGreaterThan(4)
    expect(await sandbox.run('ss', ['-Hlntu'])).toBe('')
    expect(await sandbox.run('nft', ['list', 'ruleset'])).toBe('')
  })

  it('answers thousands of questions at once, each with its id', async () => {
    using sandbox = createTestSandbox()
    await using _resolver = await openResolver({ namespace: sandbox.key }, { sources: [namesOfBlue().names] })
    const answers = await Promise.all(
      Array.from({ length: 1000 }, async (_, id) => {
        const bytes = await askByUdp(sandbox.key, dns, encodeQuestion('name1', 'A', { id }))
        return decodeAnswer(bytes).id === id
      }),
    )

    expect(answers.every(Boolean)).toBe(true)
  })
})

describeKernel('a connection by TCP', () => {
  const open = async (idleMs?: number): Promise<{ sandbox: TestSandbox; resolver: Resolver } & AsyncDisposable> => {
    const sandbox = createTestSandbox()
    const resolver = await openResolver({ namespace: sandbox.key, idleMs }, { sources: [namesOfBlue().names] })
    return {
      sandbox,
      resolver,
      [Symbol.asyncDispose]: async () => {
        await resolver.close()
        sandbox[Symbol.dispose]()
      },
    }
  }
  const connect = (sandbox: TestSandbox): Socket => {
    const socket = new Socket({ fd: inNamespaceAt(sandbox.key, () => connectStream(dns)) })
    return socket.on('error', () => undefined).resume()
  }

  it('takes hundreds of questions, more than are worked on at a time', async () => {
    await using at = await open()
    const questions = Array.from({ length: 300 }, (_, id) => encodeQuestion('name1', 'A', { id }))

    const answers = await askByTcp(at.sandbox.key, dns, questions)

    expect(answers.map((bytes) => decodeAnswer(bytes).id).sort((one, other) => one! - other!)).toEqual(
      questions.map((_, id) => id),
    )
  })

  it('does not keep the event loop from turning, whatever waits on it and on others', async () => {
    await using at = await open()
    const question = encodeQuestion('name1')
    const pipeline = Buffer.concat(
      Array.from({ length: 2500 }, () => Buffer.concat([Uint8Array.of(0, question.length), question])),
    )
    const sockets = Array.from({ length: 8 }, () => connect(at.sandbox))
    let received = 0
    for (const socket of sockets) {
      socket.on('data', (piece: Buffer) => (received += piece.length))
      socket.write(pipeline)
    }

    // So many come in by one reading; they are not answered at one go.
    let most = 0
    const all = sockets.length * 2500 * (2 + question.length + 16)
    for (let before = 0; received < all;) {
      await new Promise((resolve) => setImmediate(resolve))
      const { questions } = at.resolver.statistics()
      most = Math.max(most, questions - before)
      before = questions
    }

    expect(received).toBe(all)
    expect(most).toBeLessThan(2000)
    for (const socket of sockets) socket.destroy()
  })

  it('is read on once its answers are, should there be more of them than fit', async () => {
    await using at = await open()
    const question = encodeQuestion('name1')
    const socket = new Socket({ fd: inNamespaceAt(at.sandbox.key, () => connectStream(dns)) })
    const framed = Buffer.concat([Uint8Array.of(0, question.length), question])
    const count = 100_000
    socket.write(Buffer.concat(Array.from({ length: count }, () => framed)))
    // Until nothing moves any more, nobody reads.
    for (let before = -1; before !== socket.bytesWritten - socket.writableLength;) {
      before = socket.bytesWritten - socket.writableLength
      for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve))
    }

    let received = 0
    for await (const piece of socket as AsyncIterable<Buffer>) {
      received += piece.length
      if (received === count * (framed.length + 16)) break
    }
    expect(received).toBe(count * (framed.length + 16))
    socket.destroy()
  })

  it('is answered in full when its asker has nothing more to ask', async () => {
    await using at = await open()
    const socket = new Socket({ allowHalfOpen: true, fd: inNamespaceAt(at.sandbox.key, () => connectStream(dns)) })
    const question = encodeQuestion('name1')

    socket.end(Buffer.concat([Uint8Array.of(0, question.length), question]))
    const bytes = Buffer.concat((await socket.toArray()) as Buffer[])

    expect(addressesIn(bytes.subarray(2))).toEqual(['192.168.0.1'])
  })

  it('is closed when nothing happens on it', async () => {
    await using at = await open(50)
    const socket = connect(at.sandbox)
    socket.write(Uint8Array.of(0))

    await once(socket, 'close')
  })

  it('is closed when there are too many', async () => {
    await using at = await open()
    const sockets = Array.from({ length: 70 }, () => connect(at.sandbox))
    const closed = new Set<Socket>()
    await new Promise<void>((resolve) => {
      for (const socket of sockets) {
        socket.once('close', () => {
          closed.add(socket)
          if (closed.size === 6) resolve()
        })
      }
    })
    const [answer] = await askByTcp(at.sandbox.key, dns, [encodeQuestion('name1')]).catch(() => [])

    expect(answer).toBeUndefined()
    for (const socket of sockets) socket.destroy()
  })
})
