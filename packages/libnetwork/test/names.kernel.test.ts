import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { Resolver as Client } from 'node:dns/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DescriptorShortage, describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import packet from 'dns-packet'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { openController, type Attachment, type Controller, type Network, type Sandbox } from '../src/index.ts'
import { expectNothingLeft, outputOf, plain, traces, type Traces } from './lab.ts'

await enterFreshHost()

const before = traces()
let folder: string
let resolvConf: string
let net: Controller
let blue: Network

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'names-'))
  resolvConf = join(folder, 'resolv.conf')
  writeFileSync(resolvConf, 'search host.example\n')
  net = await openController({ dns: { resolvConf } })
  blue = await net.createNetwork({ name: 'blue', ipv6: true })
})
afterEach(async () => {
  await expectNothingLeft(net, before)
  rmSync(folder, { recursive: true })
})

/** What a program in the sandbox is told: answers, or the code of the failure. */
async function ask(sandbox: Sandbox, name: string, type = 'A'): Promise<unknown> {
  const program = `
    const resolver = new (require('node:dns').promises.Resolver)({ timeout: 3000, tries: 3 })
    resolver.setServers(['127.0.0.11'])
    const [, name, type] = process.argv
    const asked = type === 'PTR' ? resolver.reverse(name) : resolver.resolve(name, type)
    asked.then((all) => console.log(JSON.stringify(all)), (error) => console.log(JSON.stringify(error.code)))
  `
  return JSON.parse(await outputOf(sandbox, process.execPath, ['-e', program, name, type]))
}

async function container(name: string, network: Network | string = blue, hostname?: string): Promise<Sandbox> {
  const { sandbox } = await net.attach({
    network,
    endpoint: { name },
    sandbox: { containerId: `id-of-${name}`, hostname },
  })
  return sandbox
}

/** A server of the host's loopback that knows one name. */
async function upstream(answers: Record<string, string>): Promise<{ port: number; asked: string[] } & Disposable> {
  const asked: string[] = []
  const socket = createSocket('udp4', (message, from) => {
    const query = packet.decode(message)
    const [question] = query.questions ?? []
    const name = question?.name ?? ''
    asked.push(name)
    const data = answers[name]
    const known = data !== undefined && question?.type === 'A'
    socket.send(
      packet.encode({
        type: 'response',
        id: query.id ?? 0,
        flags: known ? 0 : 3,
        questions: query.questions ?? [],
        answers: known ? [{ type: 'A', name, ttl: 60, data }] : [],
      }),
      from.port,
      from.address,
    )
  })
  socket.bind(53, '127.0.0.1')
  await once(socket, 'listening')
  return {
    port: socket.address().port,
    asked,
    [Symbol.dispose]: () => {
      socket.close()
    },
  }
}

/** A signal that is aborted when it is looked at for the nth time. */
function abortsWhenAsked(times: number): AbortSignal {
  const controller = new AbortController()
  const { signal } = controller
  let asked = 0
  signal.throwIfAborted = () => {
    if (++asked === times) controller.abort(new Error('given up'))
    AbortSignal.prototype.throwIfAborted.call(signal)
  }
  return signal
}

/** What the kernel holds once it has taken down the links of namespaces that went. */
async function settled(expected: Traces): Promise<Traces> {
  await vi.waitFor(() => {
    expect(traces().links).toHaveLength(expected.links.length)
  })
  return traces()
}

describeKernel('containers of one network', () => {
  it('find each other by name, in both families, and by address', async () => {
    const [one, two] = [await container('one'), await container('two', blue, 'second')]
    const [endpoint] = two.endpoints()
    const [address, address6] = [plain(endpoint?.address), plain(endpoint?.address6)]

    expect(await ask(one, 'two')).toEqual([address])
    expect(await ask(one, 'TWO.blue', 'AAAA')).toEqual([address6])
    expect(await ask(one, 'second')).toEqual([address])
    expect(await ask(one, 'id-of-two'.slice(0, 12))).toEqual([address])
    expect(await ask(one, address, 'PTR')).toEqual(['two.blue'])
    expect(await one.resolveName('two')).toEqual([address, address6])
    expect(await one.resolveAddress(address6)).toBe('two.blue')
  })

  it('do not find those of others, and no more those that left, were renamed or deleted', async () => {
    await net.createNetwork({ name: 'red' })
    const [one, two, other] = [await container('one'), await container('two'), await container('other', 'red')]

    expect(await one.resolveName('other')).toEqual([])
    expect(await other.resolveName('one')).toEqual([])

    await two.rename('zwei')
    expect(await one.resolveName('two')).toEqual([])
    expect(await one.resolveName('zwei')).toHaveLength(2)
    expect(two.endpoints().map(({ name }) => name)).toEqual(['zwei'])
    await expect(two.rename('one')).rejects.toMatchObject({ code: 'ERR_ENDPOINT_EXISTS' })
    expect(await one.resolveName('zwei')).toHaveLength(2)

    const [endpoint] = two.endpoints()
    await endpoint?.leave(two)
    expect(await one.resolveName('zwei')).toEqual([])
    expect(await two.resolveName('one')).toEqual([])
    await endpoint?.join(two)
    expect(await one.resolveName('zwei')).toHaveLength(2)
    await two.delete()
    expect(await one.resolveName('zwei')).toEqual([])
  })

  it('have aliases that all know, and some that one sandbox alone knows', async () => {
    const database = await blue.createEndpoint({ name: 'postgres-1', aliases: ['store'] })
    await database.join(await net.createSandbox({ containerId: 'd' }))
    const [shop, other] = [await net.createSandbox({ containerId: 'shop' }), await container('other')]
    const endpoint = await blue.createEndpoint({ name: 'shop' })
    await endpoint.join(shop, { aliases: { db: 'postgres-1' } })

    expect(await shop.resolveName('db')).toEqual([plain(database.address), plain(database.address6)])
    expect(await other.resolveName('db')).toEqual([])
    expect(await other.resolveName('store')).toHaveLength(2)
    await endpoint.leave(shop)
    await endpoint.join(shop)
    expect(await shop.resolveName('db')).toEqual([])
  })

  it('are looked up on the network of the default route first, and on internal ones last', async () => {
    const inner = await net.createNetwork({ name: 'inner', internal: true })
    const deep = await net.createNetwork({ name: 'deep', internal: true })
    const red = await net.createNetwork({ name: 'red' })
    const of = new Map<Network, string>()
    for (const network of [deep, inner, red, blue]) {
      const { endpoint } = await net.attach({
        ...{ network, endpoint: { name: 'db' }, sandbox: { containerId: `db-${network.name}` } },
      })
      of.set(network, plain(endpoint.address))
    }
    const sandbox = await container('web', inner)
    const joins = async (network: Network, priority = 0) => {
      const endpoint = await network.createEndpoint({ name: 'web' })
      await endpoint.join(sandbox, { priority })
      return endpoint
    }
    const found = async (): Promise<unknown> => await ask(sandbox, 'db')

    await joins(deep, 9)
    expect(await found()).toEqual([of.get(deep)])
    const outer = await joins(blue)
    expect(await found()).toEqual([of.get(blue)])
    // Neither serves the default route any more once another does.
    await joins(red, 1)
    expect(await found()).toEqual([of.get(red)])
    await net.getSandbox('db-red').delete()
    expect(await found()).toEqual([of.get(blue)])
    await outer.leave(sandbox)
    expect(await found()).toEqual([of.get(deep)])
    expect((await net.describe()).differences).toEqual([])
  })

  it('share one name between several endpoints', async () => {
    const one = await container('one')
    for (const name of ['a', 'b']) {
      const endpoint = await blue.createEndpoint({ name, aliases: ['web'] })
      await endpoint.join(await net.createSandbox({ containerId: name }))
    }

    expect(await ask(one, 'web')).toHaveLength(2)
  })
})

describeKernel('names of the world outside', () => {
  it('are asked of the servers of the host, from the host', async () => {
    using server = await upstream({ 'host.example': '192.0.2.1' })
    writeFileSync(resolvConf, 'nameserver 127.0.0.1\n')
    const one = await container('one')

    expect(await ask(one, 'host.example')).toEqual(['192.0.2.1'])
    expect(await ask(one, 'nope.example')).toBe('ENOTFOUND')
    expect(await ask(one, 'one', 'TXT')).toBe('ENODATA')
    expect(server.asked).toEqual(['host.example', 'nope.example'])
    expect(one.dnsStatistics()).toMatchObject({ forwarded: 2, answers: { NOERROR: 2, NXDOMAIN: 1 } })
  })

  it('stay here without a dot where the host’s own file says ndots', async () => {
    using server = await upstream({ 'a.bare': '192.0.2.1' })
    writeFileSync(resolvConf, 'nameserver 127.0.0.1\noptions ndots:2\n')
    const one = await container('one')

    expect(readFileSync(one.files.resolvConf, 'utf8')).toContain('options ndots:2\n')
    expect(await ask(one, 'bare')).toBe('ENODATA')
    expect(await ask(one, 'a.bare')).toEqual(['192.0.2.1'])
    expect(server.asked).toEqual(['a.bare'])
  })

  it('are asked of servers in order, by IPv6 as well, from the sandbox', async () => {
    const one = await net.createSandbox({ containerId: 'one', dns: { servers: ['fd00:53::1', '127.0.0.2', '::1'] } })
    const endpoint = await blue.createEndpoint({ name: 'one' })
    await endpoint.join(one)
    const answering = `
      const socket = require('node:dgram').createSocket('udp6', (query, from) => {
        query[2] |= 0x80
        query[7] = 1
        const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 6]
        socket.send(Buffer.concat([query, Buffer.from(record)]), from.port, from.address)
      })
      socket.bind(53, '::1', () => console.log('ready'))
    `
    const server = one.spawn(process.execPath, ['-e', answering], { stdio: ['ignore', 'pipe', 'inherit'] })
    if (server.stdout === null) throw new Error('no output to wait for')
    await once(server.stdout, 'data')

    expect(await ask(one, 'six.example')).toEqual(['192.0.2.6'])
    expect(readFileSync(one.files.resolvConf, 'utf8')).toContain('# ExtServers: [fd00:53::1 127.0.0.2 ::1]')
    server.kill()
    await once(server, 'close')
  })

  it('are nobody else’s business where a sandbox reaches nothing outside', async () => {
    using server = await upstream({ 'host.example': '192.0.2.1' })
    writeFileSync(resolvConf, 'nameserver 127.0.0.1\n')
    const network = await net.createNetwork({ name: 'cut-off', internal: true })
    const [one, two] = [await container('one', network), await container('two', network)]

    expect(await ask(one, 'two')).toEqual([plain(two.endpoints()[0]?.address)])
    expect(await ask(one, 'host.example')).toBe('ESERVFAIL')
    // It comes onto a network that leads outside, and leaves it again.
    const endpoint = await blue.createEndpoint({ name: 'one' })
    await endpoint.join(one)
    expect(await ask(one, 'host.example')).toEqual(['192.0.2.1'])
    await endpoint.leave(one)
    expect(await ask(one, 'host.example')).toBe('ESERVFAIL')
    expect(server.asked).toEqual(['host.example'])
  })

  it('follow the host’s resolv.conf, and the files as well unless somebody changed them', async () => {
    using server = await upstream({ 'host.example': '192.0.2.1' })
    const [one, two] = [await container('one'), await container('two')]
    writeFileSync(two.files.resolvConf, 'nameserver 192.0.2.53\n')
    expect(readFileSync(one.files.resolvConf, 'utf8')).toContain('search host.example')

    writeFileSync(resolvConf, 'nameserver 127.0.0.1\nsearch changed.example\n')
    await vi.waitFor(() => {
      expect(readFileSync(one.files.resolvConf, 'utf8')).toContain('search changed.example')
    }, 5000)

    expect(await ask(one, 'host.example')).toEqual(['192.0.2.1'])
    expect(readFileSync(two.files.resolvConf, 'utf8')).toBe('nameserver 192.0.2.53\n')
    expect(server.asked).toEqual(['host.example'])
  })

  it('are asked of the servers that a sandbox was given, and the host has a name where one was given', async () => {
    const one = await net.createSandbox({
      containerId: 'one',
      dns: { servers: ['192.0.2.53'], search: ['own.example'], options: ['ndots:1'], hostName: 'host.docker.internal' },
    })
    const endpoint = await blue.createEndpoint({ name: 'one' })
    await endpoint.join(one)

    expect(readFileSync(one.files.resolvConf, 'utf8').split('\n').slice(0, 3)).toEqual([
      'nameserver 127.0.0.11',
      'search own.example',
      'options ndots:1',
    ])
    expect(await ask(one, 'host.docker.internal')).toEqual([plain(blue.ipv4?.gateway)])
    // With ndots said, bare names stay here.
    expect(await ask(one, 'bare')).toBe('ENODATA')
  })
})

describeKernel('the files of a sandbox', () => {
  it('say who it is and follow where it is; what others wrote is kept', async () => {
    const sandbox = await net.createSandbox({
      containerId: 'c',
      hostname: 'web',
      domainname: 'example.org',
      extraHosts: { printer: '192.0.2.9' },
    })
    const endpoint = await blue.createEndpoint({ name: 'web' })
    const { hosts, hostname, resolvConf: own } = sandbox.files

    expect(readFileSync(hostname, 'utf8')).toBe('web\n')
    expect(readFileSync(own, 'utf8')).toContain('nameserver 127.0.0.11\nsearch host.example\noptions ndots:0\n')
    expect(readFileSync(hosts, 'utf8')).toMatch(/^127\.0\.0\.1\tlocalhost\n::1\tlocalhost/)
    expect(readFileSync(hosts, 'utf8')).toContain('192.0.2.9\tprinter\n')

    writeFileSync(hosts, '192.0.2.7\tmine\n', { flag: 'a' })
    await endpoint.join(sandbox)
    const lines = [
      '192.0.2.7\tmine',
      ...[endpoint.address, endpoint.address6].map((at) => `${plain(at)}\tweb.example.org web`),
    ]
    expect(readFileSync(hosts, 'utf8').split('\n').slice(-4, -1)).toEqual(lines)
    await endpoint.leave(sandbox)
    expect(readFileSync(hosts, 'utf8')).toMatch(/\tmine\n$/)
    await sandbox.delete()
    expect(existsSync(hosts)).toBe(false)
  })

  it.each([
    { isOff: '0', lines: ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback'] },
    { isOff: '1', lines: ['127.0.0.1\tlocalhost'] },
  ])('name ::1 where programs can have it: disable_ipv6 is $isOff', async ({ isOff, lines }) => {
    const sandbox = await net.createSandbox({ containerId: 'c' })
    const setting = `echo ${isOff} > /proc/sys/net/ipv6/conf/lo/disable_ipv6`
    execFileSync('nsenter', [`--net=${sandbox.key}`, 'sh', '-c', setting])

    const names = readFileSync(sandbox.files.hosts, 'utf8').split('\n')

    expect(names.filter((line) => line.includes('\tlocalhost'))).toEqual(lines)
  })

  it('tell a sandbox without a resolver whom the host asks, loopback left out', async () => {
    writeFileSync(resolvConf, 'nameserver 127.0.0.53\nnameserver 192.0.2.1\n')
    const sandbox = await net.createSandbox({ containerId: 'c', dns: false })

    expect(readFileSync(sandbox.files.resolvConf, 'utf8')).toMatch(/^nameserver 192\.0\.2\.1\n\n/)
    expect(sandbox.dnsStatistics()).toBeUndefined()
    writeFileSync(resolvConf, 'nameserver 192.0.2.2\n')
    await vi.waitFor(() => {
      expect(readFileSync(sandbox.files.resolvConf, 'utf8')).toMatch(/^nameserver 192\.0\.2\.2\n/)
    }, 5000)
  })

  it('tell a sandbox without a resolver of servers by IPv6 while it has IPv6', async () => {
    writeFileSync(resolvConf, 'nameserver 192.0.2.1\nnameserver 2001:db8::53\n')
    const sandbox = await net.createSandbox({ containerId: 'c', dns: false })
    const endpoint = await blue.createEndpoint({ name: 'c' })
    const servers = (): string[] =>
      readFileSync(sandbox.files.resolvConf, 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('nameserver'))

    expect(servers()).toEqual(['nameserver 192.0.2.1'])
    await endpoint.join(sandbox)
    expect(servers()).toEqual(['nameserver 192.0.2.1', 'nameserver 2001:db8::53'])
    await endpoint.leave(sandbox)
    expect(servers()).toEqual(['nameserver 192.0.2.1'])
  })

  it.each([
    [{ dns: { servers: ['nope'] } }, 'dns'],
    [{ dns: { options: ['ndots:-1'] } }, 'dns'],
    [{ dns: { options: ['ndots:foobar'] } }, 'dns'],
    [{ dns: { search: ['a b'] } }, 'dns'],
    [{ extraHosts: { printer: '01.2.3.4' } }, 'extraHosts.printer'],
    [{ extraHosts: { 'two words': '1.2.3.4' } }, 'extraHosts'],
  ])('are refused for %j', async (wishes, member) => {
    await expect(net.createSandbox({ containerId: 'c', ...wishes })).rejects.toMatchObject({
      code: 'ERR_INVALID_REQUEST',
      message: expect.stringContaining(member) as string,
    })
    expect(net.sandboxes()).toEqual([])
  })
})

describeKernel('what fails half way', () => {
  it('leaves nothing, at whichever point a caller gives up', async () => {
    const links = traces()
    const attach = (call: { signal: AbortSignal }): Promise<Attachment> =>
      net.attach(
        { network: blue, endpoint: { name: 'one', ports: [{ containerPort: 80 }] }, sandbox: { containerId: 'one' } },
        call,
      )
    let points = 0
    let attached: Attachment | undefined
    while (attached === undefined) {
      points++
      try {
        attached = await attach({ signal: abortsWhenAsked(points) })
      } catch (error) {
        expect(error).toMatchObject({ message: 'given up' })
        expect([net.sandboxes(), blue.endpoints(), await settled(links)]).toEqual([[], [], links])
      }
    }
    expect(points).toBeGreaterThan(5)
    await attached.detach()
  })

  it('leaves nothing, whichever descriptor a sandbox cannot have', async () => {
    const links = traces()
    // Whatever is loaded or opened at first use is there already.
    await (await net.createSandbox({ containerId: 'first' })).delete()
    const outcomes: string[] = []
    let spares = 0
    {
      using shortage = new DescriptorShortage()
      for (let spare = 0; outcomes.at(-1) !== 'created'; spare++) {
        shortage.giveBack(spare)
        await net.createSandbox({ containerId: `c${spare}` }).then(
          async (sandbox) => {
            await sandbox.delete()
            outcomes.push('created')
          },
          (error: unknown) => outcomes.push(String(error)),
        )
        spares += shortage.takeAll() - spare
      }
    }

    expect(net.sandboxes()).toEqual([])
    expect(outcomes.some((outcome) => outcome.includes('EMFILE'))).toBe(true)
    expect([outcomes.length > 4, spares]).toEqual([true, 0])
    expect(readdirSync(`/run/net/${net.id}`)).toEqual([])
    expect(traces()).toEqual(links)
  })

  it('takes an endpoint out again whose name cannot be written into the hosts file', async () => {
    const one = await container('one')
    const sandbox = await net.createSandbox({ containerId: 'c' })
    const endpoint = await blue.createEndpoint({ name: 'two' })
    const { hosts } = sandbox.files
    rmSync(hosts)
    mkdirSync(hosts)

    await expect(endpoint.join(sandbox)).rejects.toThrow(/EISDIR/)
    expect(await one.resolveName('two')).toEqual([])
    expect(endpoint.sandboxId).toBeUndefined()
    rmSync(hosts, { recursive: true })
    await endpoint.join(sandbox)
    expect(await one.resolveName('two')).toHaveLength(2)
  })
})

describeKernel('the host', () => {
  it('finds containers by name and network, where it is asked for', async () => {
    await using own = await openController({ dns: { host: { port: 5399 } } })
    const network = await own.createNetwork({ name: 'green' })
    const { endpoint } = await own.attach({ network, endpoint: { name: 'web' }, sandbox: { containerId: 'web' } })
    const client = new Client({ timeout: 3000, tries: 3 })
    client.setServers(['127.0.0.1:5399'])

    expect(await client.resolve4('web.green')).toEqual([plain(endpoint.address)])
    await expect(client.resolve4('web')).rejects.toMatchObject({ code: 'ESERVFAIL' })
    expect(await client.reverse(plain(endpoint.address))).toEqual(['web.green'])
  })

  it('is told when the port is taken, and nothing is left', async () => {
    const socket = createSocket('udp4').bind(5398, '127.0.0.1')
    await once(socket, 'listening')
    const links = traces()

    await expect(openController({ dns: { host: { port: 5398 } } })).rejects.toMatchObject({ code: 'ERR_SYSTEM_CALL' })
    expect(traces()).toEqual(links)
    socket.close()
  })
})
