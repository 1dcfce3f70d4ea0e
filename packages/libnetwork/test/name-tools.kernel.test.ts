import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Attachment, type Controller, type Sandbox } from '../src/index.ts'
import { expectNothingLeft, outputOf, plain, serve, traces } from './lab.ts'

await enterFreshHost()

const before = traces()
let folder: string
let net: Controller
let asker: Sandbox
let web: Attachment
let [address, address6] = ['', '']

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tools-'))
  const resolvConf = join(folder, 'resolv.conf')
  writeFileSync(resolvConf, 'search host.example\n')
  net = await openController({ dns: { resolvConf } })
  await net.createNetwork({ name: 'blue', ipv6: true })
  const attach = (name: string): Promise<Attachment> =>
    net.attach({
      network: 'blue',
      endpoint: { name, aliases: name === 'web' ? ['www'] : [] },
      sandbox: { containerId: name },
    })
  ;({ sandbox: asker } = await attach('asker'))
  web = await attach('web')
  ;[address, address6] = [plain(web.endpoint.address), plain(web.endpoint.address6)]
})
afterEach(async () => {
  await expectNothingLeft(net, before)
  rmSync(folder, { recursive: true })
})

/** What `dig` prints. Without a server it asks the one of /etc/resolv.conf. */
function dig(...args: readonly string[]): Promise<string> {
  return outputOf(asker, 'dig', ['+tries=3', '+timeout=5', ...args])
}

const ASK = ['+noall', '+comments', '+answer']

/** The code, the flags and the records of an answer. */
async function answerTo(...args: readonly string[]): Promise<{ status: string; flags: string; records: string[] }> {
  const text = await dig(...ASK, ...args)
  return {
    status: /status: (\w+)/.exec(text)?.[1] ?? text,
    flags: /flags: ([a-z ]*)/.exec(text)?.[1] ?? '',
    records: text.split('\n').filter((line) => line !== '' && !line.startsWith(';')),
  }
}

const squeezed = (records: readonly string[]): string[] => records.map((record) => record.replaceAll(/\s+/g, ' '))

describeKernel('dig in a sandbox', () => {
  it.each([[[]], [['+tcp']], [['+noedns']], [['+bufsize=512']], [['+norecurse']]])(
    'finds a neighbour with %j',
    async (options) => {
      const answer = await answerTo(...options, 'web', 'A')

      expect(answer.status).toBe('NOERROR')
      expect(squeezed(answer.records)).toEqual([`web. 600 IN A ${address}`])
    },
  )

  it('finds it in both families, in any spelling, by network, alias and address', async () => {
    expect(await dig('+short', 'WEB.Blue', 'AAAA')).toBe(`${address6}\n`)
    expect(await dig('+short', 'www')).toBe(`${address}\n`)
    expect(await dig('+short', '-x', address)).toBe('web.blue.\n')
    expect(await dig('+short', '-x', address6)).toBe('web.blue.\n')
  })

  it('is given nothing, and not told that there is no such name, for what a name does not have', async () => {
    await net.createNetwork({ name: 'old' })
    const four = await net.attach({
      network: 'old',
      endpoint: { name: 'four' },
      sandbox: { containerId: 'four' },
    })
    const endpoint = await net.getNetwork('old').createEndpoint({ name: 'asker' })
    await endpoint.join(asker)

    expect(await dig('+short', 'four')).toBe(`${plain(four.endpoint.address)}\n`)
    for (const type of ['AAAA', 'MX', 'TXT', 'HTTPS', 'SRV', 'NS', 'SOA']) {
      expect(await answerTo('four', type)).toMatchObject({ status: 'NOERROR', records: [] })
    }
  })

  it('is told why it gets no answer', async () => {
    expect((await answerTo('nobody')).status).toBe('SERVFAIL')
    expect((await answerTo('_http._tcp.web', 'SRV')).status).toBe('SERVFAIL')
    expect((await answerTo('web', 'AXFR', '+tcp', '+noonesoa')).records).toEqual([])
    expect((await answerTo('-c', 'CH', 'version.bind', 'TXT')).status).toBe('REFUSED')
    expect((await answerTo('+opcode=STATUS', 'web')).status).toBe('NOTIMP')
    expect((await answerTo('+edns=1', '+noednsnegotiation', 'web')).status).toBe('BADVERS')
  })

  it('asks for ANY and is refused politely', async () => {
    const answer = await answerTo('+notcp', 'web', 'ANY')

    expect(answer.status).toBe('NOERROR')
    expect(squeezed(answer.records)).toEqual(['web. 3789 IN HINFO "RFC8482" ""'])
  })

  it('asks several questions on one connection', async () => {
    const text = await dig('+short', '+tcp', '+keepopen', 'web', 'A', 'web', 'AAAA', '-x', address)

    expect(text).toBe(`${address}\n${address6}\nweb.blue.\n`)
  })

  it('appends the domain of the host where it is told to, and meets the end of the search', async () => {
    const text = await dig('+search', '+showsearch', '+ndots=1', 'web')

    expect(text).toContain('web.host.example.')
    expect(text).toContain('status: SERVFAIL')
  })
})

describeKernel('curl in a sandbox', () => {
  it('fetches from a neighbour by name, in both families', async () => {
    await using _server = await serve(web.sandbox, 'hello')
    const fetch = (...args: readonly string[]): Promise<string> =>
      outputOf(asker, 'curl', ['--silent', '--max-time', '20', '--noproxy', '*', ...args])

    expect(await fetch('http://web/')).toBe('hello')
    expect(await fetch('-4', 'http://www.blue/')).toBe('hello')
    expect(await fetch('-6', 'http://web.blue/')).toBe('hello')
    expect(await fetch('--write-out', '%{exitcode}', 'http://nobody/')).toBe('6')
  })
})
