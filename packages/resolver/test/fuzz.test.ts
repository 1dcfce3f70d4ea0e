import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { silentLogger } from '@net/types'
import { expect, it } from 'vitest'
import { AnswerCache, secondsToKeep } from '../src/answer-cache.ts'
import { answeredByMessage } from '../src/answered.ts'
import { fitMessage } from '../src/fit.ts'
import { NameTable, openResolver, SandboxNames } from '../src/index.ts'
import { readMessage, viewOf, type DnsMessage } from '../src/message.ts'
import { readQuery } from '../src/query.ts'
import { encodeReply } from '../src/reply.ts'
import { Responder } from '../src/responder.ts'
import { skipName } from '../src/domain-name.ts'
import { HostileMessages } from './hostile-messages.ts'

/** So many times as long as in the suite: `NET_FUZZ=1000`. */
const TIMES = Number(process.env.NET_FUZZ ?? 1)
const seed = TIMES === 1 ? 1 : Math.floor(Math.random() * 2 ** 32)
const TIMEOUT_MS = TIMES === 1 ? 30_000 : 24 * 3600_000

const names = new SandboxNames()
const blue = new NameTable('blue')
blue.add({
  id: 'web',
  name: 'web',
  addresses: ['10.0.0.2', 'fd00::2'],
  services: [{ name: 'http', protocol: 'tcp', port: 80 }],
})
for (let at = 0; at < 300; at++) blue.add({ id: `many${at}`, name: 'many', addresses: [`10.1.${at >> 8}.${at & 255}`] })
names.setNetworks([{ table: blue }])

/** Counts what came of it, and says so when somebody waits for it. */
class Outcomes {
  readonly #counts = new Map<string, number>()

  add(outcome: string): void {
    this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1)
  }

  get(outcome: string): number {
    return this.#counts.get(outcome) ?? 0
  }

  tell(what: string): void {
    if (TIMES === 1) return
    process.stdout.write(
      `${what}, seed ${seed}: ${[...this.#counts].map(([outcome, count]) => `${outcome} ${count}\n`).join(', ')}`,
    )
  }
}

/** What answers may be at most by UDP, as the message says itself; 512 where it says nothing that makes sense. */
function limitOf(message: Uint8Array): number {
  const read = readQuery(message)
  return read.kind === 'query' ? Math.min(read.query.edns?.udpBytes ?? 512, 65_507) : 512
}

function expectAnswer(asked: Uint8Array, answer: Uint8Array, limit: number): void {
  expect(answer.length).toBeLessThanOrEqual(limit)
  expect(viewOf(answer).getUint16(0)).toBe(viewOf(asked).getUint16(0))
  expect((answer[2] ?? 0) & 0x80).toBe(0x80)
  if (answer.length > 12) readMessage(answer)
}

it('answers hostile questions within their limits, or is silent', { timeout: TIMEOUT_MS }, async () => {
  const outcomes = new Outcomes()
  const hostile = new HostileMessages(seed)
  const responder = new Responder({
    sources: [names],
    forward: (query) => Promise.resolve({ bytes: encodeReply(query, { code: 'SERVFAIL' }), message: undefined }),
    forwardSingleLabels: true,
    onAnswer: undefined,
    logger: silentLogger,
  })
  for (let count = 0; count < 2000 * TIMES; count++) {
    const message = hostile.question()
    const transport = count % 4 === 0 ? 'tcp' : 'udp'
    const ready = transport === 'udp' ? responder.findReady(message, 0, message.length) : undefined
    const answer = await responder.respond(message.slice(), transport)
    if (answer === undefined) outcomes.add('silence')
    else {
      expectAnswer(message, answer, transport === 'tcp' ? 65_535 : limitOf(message))
      outcomes.add(`code ${(answer[3] ?? 0) & 15}`)
    }
    if (ready !== undefined) {
      outcomes.add('ready')
      expect(answer?.length).toBe(ready.length)
    }
  }
  outcomes.tell('hostile questions')
  for (const outcome of ['silence', 'code 0', 'code 1', 'code 2', 'code 4', 'code 5']) {
    expect(outcomes.get(outcome)).toBeGreaterThan(0)
  }
})

/** A question for somebody else, whose answers are fuzzed. */
function ask(number: number): Uint8Array {
  const name = [...label('q'), ...label(String(number)), ...label('example'), 0]
  const opt = number % 3 === 0 ? [0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0] : []
  return Uint8Array.from([
    ...[number >> 8, number].map((byte) => byte & 0xff),
    ...[1, 0, 0, 1, 0, 0, 0, 0, 0, opt.length > 0 ? 1 : 0],
    ...[...name, 0, number % 2 === 0 ? 1 : 28, 0, 1, ...opt],
  ])
}

function label(text: string): number[] {
  return [text.length, ...new TextEncoder().encode(text)]
}

it('keeps, cuts and reads hostile answers, or refuses them', { timeout: TIMEOUT_MS }, () => {
  const outcomes = new Outcomes()
  const hostile = new HostileMessages(seed)
  const clock = { ms: 0 }
  const cache = new AnswerCache({ entries: 100, now: () => clock.ms })
  for (let count = 0; count < 2000 * TIMES; count++) {
    clock.ms += hostile.below(1000)
    const asked = ask(count % 65_536)
    const message = readOrRefuse(hostile.reply(asked, skipName(asked, 12) + 4))
    if (message === undefined) {
      outcomes.add('refused')
      continue
    }
    outcomes.add('read')
    for (const limit of [512, 1232, 4096]) {
      const cut = fitMessage(message.bytes, limit)
      expect(cut.length).toBeLessThanOrEqual(limit)
      readMessage(cut)
    }
    if (
      !isSound(() => {
        expect(secondsToKeep(message)).toBeLessThanOrEqual(86_400)
        cache.keep(`${count % 150}`, message)
      })
    )
      outcomes.add('not kept')
    const kept = cache.find(`${hostile.below(150)}`)
    if (kept !== undefined) outcomes.add('kept')
    const isRead = isSound(() => {
      if (answeredByMessage(message.question, message).addresses.length > 0) outcomes.add('told')
    })
    if (!isRead) outcomes.add('not told')
  }
  outcomes.tell('hostile answers')
  for (const outcome of ['refused', 'read', 'kept', 'told']) expect(outcomes.get(outcome)).toBeGreaterThan(0)
})

/** False where something in the records is malformed, which is said so and not otherwise. */
function isSound(work: () => void): boolean {
  try {
    work()
    return true
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_MALFORMED_DNS_MESSAGE' })
    return false
  }
}

function readOrRefuse(bytes: Uint8Array): DnsMessage | undefined {
  try {
    return readMessage(bytes)
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_MALFORMED_DNS_MESSAGE' })
    return undefined
  }
}

/** A server that answers by UDP and TCP as nobody should: several times, in pieces, with lengths that lie. */
async function hostileServer(hostile: HostileMessages): Promise<{ port: number } & AsyncDisposable> {
  const replies = (asked: Uint8Array): Uint8Array[] =>
    Array.from({ length: hostile.below(3) }, () => hostile.reply(asked, skipName(asked, 12) + 4))
  const udp = createSocket('udp4', (asked, from) => {
    for (const reply of replies(asked)) udp.send(reply.subarray(0, 9000), from.port, from.address)
  })
  udp.bind(0, '127.0.0.1')
  await once(udp, 'listening')
  const { port } = udp.address()
  const open = new Set<Socket>()
  const tcp: Server = createServer((socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    socket.on('error', () => undefined)
    socket.once('data', (bytes: Buffer) => {
      for (const reply of replies(bytes.subarray(2))) {
        const length = hostile.below(10) === 0 ? hostile.below(65_536) : reply.length
        socket.write(Uint8Array.of(length >> 8, length & 0xff))
        socket.write(reply)
      }
      if (hostile.below(4) === 0) socket.end()
      else if (hostile.below(4) === 0) socket.resetAndDestroy()
    })
  })
  tcp.listen(port, '127.0.0.1')
  await once(tcp, 'listening')
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      udp.close()
      for (const socket of open) socket.destroy()
      tcp.close()
      await once(tcp, 'close')
    },
  }
}

it('answers every question although servers answer as nobody should', { timeout: TIMEOUT_MS }, async () => {
  const outcomes = new Outcomes()
  await using server = await hostileServer(new HostileMessages(seed))
  await using resolver = await openResolver(
    {
      ...{ address: '127.0.0.1', redirect: false, serverTimeoutMs: 20, timeoutMs: 60_000 },
      servers: [1, 2, 3].map(() => ({ address: '127.0.0.1', port: server.port })),
    },
    { sources: [], onAnswer: () => undefined },
  )
  const asker = createSocket('udp4')
  asker.connect(resolver.listening.udpPort, '127.0.0.1')
  await once(asker, 'connect')
  const waiting = new Map<number, (answer: Buffer) => void>()
  asker.on('message', (answer) => {
    const id = viewOf(answer).getUint16(0)
    waiting.get(id)?.(answer)
    outcomes.add(`code ${(answer[3] ?? 0) & 15}`)
  })
  const one = async (number: number): Promise<void> => {
    const asked = ask(number % 65_536)
    const answer = await new Promise<Buffer>((resolve) => {
      waiting.set(number % 65_536, resolve)
      asker.send(asked)
    })
    expectAnswer(asked, Uint8Array.from(answer), limitOf(asked))
    expect(readMessage(answer).question.name).toBe(readMessage(asked).question.name)
  }

  const total = 100 * TIMES
  for (let from = 0; from < total; from += 50) {
    await Promise.all(Array.from({ length: Math.min(50, total - from) }, (_, at) => one(from + at)))
  }

  outcomes.tell('questions to hostile servers')
  expect(resolver.statistics().questions).toBe(total)
  expect([outcomes.get('code 0'), outcomes.get('code 2')].every((count) => count > 0)).toBe(true)
  asker.close()
  await once(asker, 'close')
})
