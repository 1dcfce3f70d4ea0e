import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterAll, expect, it } from 'vitest'
import {
  BoundFiles,
  formatResolvConf,
  NameTable,
  openResolver,
  parseResolvConf,
  SandboxNames,
  transformForInternalResolver,
} from '../src/index.ts'
import { createTestSandbox, type TestSandbox } from './sandbox.ts'

await enterFreshHost()

const folder = mkdtempSync(join(tmpdir(), 'resolver-libc-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

const table = new NameTable('blue')
table.add({
  id: 'web',
  name: 'web',
  addresses: ['10.0.0.1', 'fd00::1'],
  services: [{ name: 'http', protocol: 'tcp', port: 8080 }],
})
table.add({ id: 'four', name: 'four', addresses: ['10.0.0.4'] })
for (let at = 0; at < 200; at++) table.add({ id: `m${at}`, aliases: ['many'], addresses: [`10.0.1.${at}`] })
const names = new SandboxNames()
names.setNetworks([{ table }])

/** What the C library finds in the sandbox, with a resolv.conf made from one of the host. */
async function lookUp(sandbox: TestSandbox, name: string): Promise<string[]> {
  const conf = transformForInternalResolver(parseResolvConf('nameserver 192.0.2.53\nsearch example.org\n'), {
    nameServer: '127.0.0.11',
    requiredOptions: ['ndots:0'],
  })
  const path = join(folder, 'resolv.conf')
  await new BoundFiles().write(path, formatResolvConf(conf, { comments: true }))
  const script = `mount --bind ${path} /etc/resolv.conf && getent -s dns ahosts ${name} || true`
  const printed = await sandbox.run('unshare', ['--mount', 'sh', '-c', script])
  const found = printed.split('\n').filter((line) => line.includes('STREAM'))
  return found.map((line) => line.split(/\s+/)[0] ?? '')
}

describeKernel('a program that asks the C library', () => {
  it.each([
    ['web', ['10.0.0.1', 'fd00::1']],
    ['four', ['10.0.0.4']],
    ['WEB.blue', ['10.0.0.1', 'fd00::1']],
    ['nobody', []],
  ])('finds %s', async (name, addresses) => {
    using sandbox = createTestSandbox()
    await using _resolver = await openResolver({ namespace: sandbox.key }, { sources: [names] })

    expect((await lookUp(sandbox, name)).sort()).toEqual(addresses)
  })

  it('finds all of a name that has more addresses than fit into a datagram', async () => {
    using sandbox = createTestSandbox()
    await using _resolver = await openResolver({ namespace: sandbox.key }, { sources: [names] })

    expect(await lookUp(sandbox, 'many')).toHaveLength(200)
  })
})

describeKernel('dig', () => {
  it.each(['+notcp', '+tcp'])('finds a service and where it runs, with %s', async (transport) => {
    using sandbox = createTestSandbox()
    await using _resolver = await openResolver({ namespace: sandbox.key }, { sources: [names] })

    const printed = await sandbox.run('dig', [
      ...['@127.0.0.11', transport, '+noall', '+answer', '+additional', '_http._tcp.web', 'SRV'],
    ])

    expect(
      printed
        .trim()
        .split('\n')
        .map((line) => line.replaceAll(/\s+/g, ' ')),
    ).toEqual([
      '_http._tcp.web. 600 IN SRV 0 0 8080 web.blue.',
      'web.blue. 600 IN A 10.0.0.1',
      'web.blue. 600 IN AAAA fd00::1',
    ])
  })
})
