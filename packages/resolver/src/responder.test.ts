import { silentLogger } from '@net/types'
import packet, { type Packet } from 'dns-packet'
import { describe, expect, it } from 'vitest'
import type { RecordSource } from './record-source.ts'
import { NameTable } from './name-table.ts'
import { encodeReply } from './reply.ts'
import { Responder, type ResponderDeps } from './responder.ts'
import { SandboxNames } from './sandbox-names.ts'

const table = new NameTable('blue')
table.add({
  id: 'a',
  name: 'web',
  addresses: ['10.0.0.1'],
  services: [{ name: 'http', protocol: 'tcp', port: 80 }],
})
table.add({ id: 'b', name: 'six', addresses: ['fd00::2'] })
for (let at = 1; at <= 3; at++) table.add({ id: `c${at}`, aliases: ['three'], addresses: [`10.0.1.${at}`] })
for (let at = 0; at < 100; at++) table.add({ id: `d${at}`, aliases: ['many'], addresses: [`10.0.2.${at}`] })
const names = new SandboxNames()
names.setNetworks([{ table }])

/** Names that were told to others. */
const told: string[] = []

function responder(changes: Partial<ResponderDeps> = {}): Responder {
  return new Responder({
    sources: [names],
    forward: (query) => {
      told.push(query.question.name)
      return Promise.resolve({ bytes: encodeReply(query, { code: 'SERVFAIL' }), message: undefined })
    },
    forwardSingleLabels: true,
    onAnswer: undefined,
    logger: silentLogger,
    ...changes,
  })
}

function question(name: string, type: string, changes: Partial<Packet> = {}): Uint8Array {
  return packet.encode({ type: 'query', id: 7, questions: [{ name, type: type as 'A' }], ...changes })
}

async function ask(name: string, type: string, deps?: Partial<ResponderDeps>): Promise<string> {
  const bytes = await responder(deps).respond(question(name, type), 'udp')
  return bytes === undefined ? 'silence' : told.splice(0).length > 0 ? 'forwarded' : summary(bytes)
}

/** `NOERROR 10.0.0.1`, say. */
function summary(bytes: Uint8Array): string {
  const read = packet.decode(Buffer.from(bytes)) as packet.DecodedPacket & { rcode: string }
  const data = (read.answers ?? []).map((answer) => {
    const said = (answer as { data: unknown }).data
    return typeof said === 'string' ? said : JSON.stringify(said)
  })
  return [read.rcode, ...data].join(' ')
}

describe('a question', () => {
  it.each([
    ['A', 'web', 'NOERROR 10.0.0.1'],
    ['A', 'WeB.BLUE', 'NOERROR 10.0.0.1'],
    ['A', 'nobody', 'forwarded'],
    ['A', 'six', 'NOERROR'],
    ['AAAA', 'six', 'NOERROR fd00::2'],
    ['AAAA', 'web', 'NOERROR'],
    ['MX', 'web', 'NOERROR'],
    ['MX', 'nobody', 'forwarded'],
    ['TXT', 'web', 'NOERROR'],
    ['ANY', 'web', 'NOERROR {"cpu":"RFC8482","os":""}'],
    ['ANY', 'nobody', 'forwarded'],
    ['SRV', '_http._tcp.web', 'NOERROR {"priority":0,"weight":0,"port":80,"target":"web.blue"}'],
    ['SRV', 'web', 'NOERROR'],
    ['SRV', '_ftp._tcp.web', 'forwarded'],
    ['PTR', '1.0.0.10.in-addr.arpa', 'NOERROR web.blue'],
    ['PTR', `2.${'0.'.repeat(27)}0.0.d.f.ip6.arpa`, 'NOERROR six.blue'],
    ['A', '1.0.0.10.in-addr.arpa', 'forwarded'],
    ['PTR', '9.9.9.10.in-addr.arpa', 'forwarded'],
    ['PTR', '256.0.0.10.in-addr.arpa', 'forwarded'],
    ['PTR', '0.0.10.in-addr.arpa', 'forwarded'],
    ['PTR', 'nobody', 'forwarded'],
  ])('%s %s: %s', async (type, name, answer) => {
    expect(await ask(name, type)).toBe(answer)
  })

  it('for a name without a dot stays here where that is wanted, and is not said to be nobody', async () => {
    expect(await ask('nobody', 'A', { forwardSingleLabels: false })).toBe('NOERROR')
    expect(await ask('nobody', 'MX', { forwardSingleLabels: false })).toBe('forwarded')
    expect(await ask('nobody.example', 'A', { forwardSingleLabels: false })).toBe('forwarded')
  })

  it('that is none of ours gets the code that says so, or silence', async () => {
    const refused = await responder().respond(Uint8Array.of(1, 2, 0x29, 0, 0, 1, 0, 0, 0, 0, 0, 0), 'udp')

    expect([...refused!]).toEqual([1, 2, 0xa9, 4, 0, 0, 0, 0, 0, 0, 0, 0])
    expect(await responder().respond(new Uint8Array(11), 'udp')).toBeUndefined()
    expect(
      summary(
        (await responder().respond(
          question('web', 'A', { questions: [{ name: 'web', type: 'A', class: 'CH' }] }),
          'udp',
        ))!,
      ),
    ).toBe('REFUSED')
  })

  it('is answered with SERVFAIL when a source fails', async () => {
    const broken: RecordSource = {
      revision: 0,
      findName: () => {
        throw new Error('broken')
      },
      findService: () => undefined,
      findAddress: () => undefined,
    }

    expect(await ask('web', 'A', { sources: [broken] })).toBe('SERVFAIL')
  })

  it('is answered with SERVFAIL when a source says what no record can carry', async () => {
    const odd: RecordSource = {
      revision: 0,
      findName: () => ({ addresses: ['10.0.0'] }),
      findService: () => [{ target: 'x'.repeat(64), port: 80, addresses: [] }],
      findAddress: () => 'x..y',
    }

    expect(await ask('web', 'A', { sources: [odd] })).toBe('SERVFAIL')
    expect(await ask('_http._tcp.web', 'SRV', { sources: [odd] })).toBe('SERVFAIL')
    expect(await ask('1.0.0.10.in-addr.arpa', 'PTR', { sources: [odd] })).toBe('NOERROR')
  })
})

describe('addresses of one name', () => {
  const three = question('three', 'A')

  it('take turns at being the first', () => {
    const answers = responder()
    const encoded = [1, 2, 3].map(() => summary(answers.respond(three, 'udp') as Uint8Array))
    const ready = [1, 2].map(() => summary(answers.findReady(three, 0, three.length)!))

    expect([...encoded, ...ready]).toEqual([
      'NOERROR 10.0.1.1 10.0.1.2 10.0.1.3',
      'NOERROR 10.0.1.2 10.0.1.3 10.0.1.1',
      'NOERROR 10.0.1.3 10.0.1.1 10.0.1.2',
      'NOERROR 10.0.1.1 10.0.1.2 10.0.1.3',
      'NOERROR 10.0.1.2 10.0.1.3 10.0.1.1',
    ])
  })

  it('that are too many for UDP are cut, and all there by TCP', async () => {
    const udp = packet.decode(Buffer.from((await responder().respond(question('many', 'A'), 'udp'))!))
    const tcp = packet.decode(Buffer.from((await responder().respond(question('many', 'A'), 'tcp'))!))

    expect([udp.answers?.length, udp.flag_tc]).toEqual([30, true])
    expect([tcp.answers?.length, tcp.flag_tc]).toEqual([100, false])
  })
})

describe('an answer kept ready', () => {
  it('is for the same question in the same words, whatever its id', () => {
    const answers = responder()
    const web = question('web', 'A')
    void answers.respond(web, 'udp')
    const again = question('web', 'A', { id: 9 })
    const shouted = question('WEB', 'A')

    expect(answers.findReady(again, 0, again.length)).toBeDefined()
    expect(answers.findReady(shouted, 0, shouted.length)).toBeUndefined()
  })

  it('is forgotten when a name changes', () => {
    const answers = responder()
    const web = question('web', 'A')
    void answers.respond(web, 'udp')

    table.add({ id: 'z', name: 'other', addresses: ['10.0.9.9'] })

    expect(answers.findReady(web, 0, web.length)).toBeUndefined()
  })

  it('is none where every answer is to be told first', () => {
    const answers = responder({ onAnswer: () => undefined })
    const web = question('web', 'A')
    void answers.respond(web, 'udp')

    expect(answers.findReady(web, 0, web.length)).toBeUndefined()
  })
})

describe('who wants to be told', () => {
  it('hears of the addresses before the answer is given, and is waited for', async () => {
    const events: unknown[] = []
    let open: () => void = () => undefined
    const answers = responder({
      onAnswer: async ({ name }, addresses, ttl) => {
        events.push([name, addresses, ttl])
        await new Promise<void>((resolve) => (open = resolve))
      },
    })

    const answer = Promise.resolve(answers.respond(question('web', 'A'), 'udp')).then(() => events.push('answered'))
    await Promise.resolve()
    expect(events).toEqual([['web', [{ name: 'web', address: '10.0.0.1' }], 600]])
    open()
    await answer

    expect(events.at(-1)).toBe('answered')
  })

  it('is not told of answers without addresses', async () => {
    const heard: string[] = []
    await responder({ onAnswer: ({ name }) => void heard.push(name) }).respond(question('web', 'MX'), 'udp')

    expect(heard).toEqual([])
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no'))],
  ])('and %s: the asker gets SERVFAIL', async (_what, onAnswer) => {
    expect(await ask('web', 'A', { onAnswer })).toBe('SERVFAIL')
  })
})
