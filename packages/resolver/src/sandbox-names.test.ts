import { describe, expect, it } from 'vitest'
import { NameTable, type EndpointNames } from './name-table.ts'
import { SandboxNames, type AttachedNetwork } from './sandbox-names.ts'

function tableOf(network: string, ...endpoints: readonly Omit<EndpointNames, 'id'>[]): NameTable {
  const table = new NameTable(network)
  endpoints.forEach((endpoint, at) => {
    table.add({ id: `${network}-${at}`, ...endpoint })
  })
  return table
}

function sandboxOn(...networks: readonly AttachedNetwork[]): SandboxNames {
  const names = new SandboxNames()
  names.setNetworks(networks)
  return names
}

const blue = tableOf(
  'blue',
  { name: 'web', aliases: ['www', 'front'], containerId: '0123456789abcdef', addresses: ['10.0.0.1', 'fd00::1'] },
  { name: 'api', aliases: ['front'], addresses: ['10.0.0.2'] },
)
const red = tableOf('red.example', { name: 'web', addresses: ['10.1.0.1'] }, { name: 'six', addresses: ['fd01::1'] })

describe('a name', () => {
  const names = sandboxOn({ table: blue }, { table: red })

  it.each([
    ['of an endpoint', 'web', ['10.0.0.1', 'fd00::1']],
    ['in capitals', 'WEB', ['10.0.0.1', 'fd00::1']],
    ['with a dot at its end', 'web.', ['10.0.0.1', 'fd00::1']],
    ['that is an alias', 'www', ['10.0.0.1', 'fd00::1']],
    ['that several have', 'front', ['10.0.0.1', '10.0.0.2', 'fd00::1']],
    ['that is the beginning of an id', '0123456789ab', ['10.0.0.1', 'fd00::1']],
    ['with its network', 'web.blue', ['10.0.0.1', 'fd00::1']],
    ['with a network that has a dot', 'web.Red.Example', ['10.1.0.1']],
    ['of one family only', 'six', ['fd01::1']],
  ])('%s is found', (_what, name, addresses) => {
    expect(names.findName(name)?.addresses).toEqual(addresses)
  })

  it.each(['nobody', 'web.green', 'web.example', '0123456789', 'six.blue', ''])('%j is not known', (name) => {
    expect(names.findName(name)).toBeUndefined()
  })

  it('takes the addresses of a family from the first network that has some', () => {
    const first = tableOf('first', { name: 'db', addresses: ['fd02::1'] })
    const second = tableOf('second', { name: 'db', addresses: ['10.2.0.1', 'fd03::1'] })

    expect(sandboxOn({ table: first }, { table: second }).findName('db')?.addresses).toEqual(['10.2.0.1', 'fd02::1'])
  })

  it('that DNS cannot carry is left out, and its endpoint is found by its others', () => {
    const table = tableOf('blue', { name: 'x'.repeat(64), aliases: ['short'], addresses: ['10.0.0.9'] })

    expect(sandboxOn({ table }).findName('short')?.addresses).toEqual(['10.0.0.9'])
    expect(table.findAddress('10.0.0.9')).toBe('short.blue')
  })
})

describe('an alias of the sandbox', () => {
  it('leads to a name of its network', () => {
    expect(sandboxOn({ table: blue, aliases: { DB: 'api' } }).findName('db')?.addresses).toEqual(['10.0.0.2'])
  })

  it('goes before the names of its network, but not before those of others', () => {
    const names = sandboxOn({ table: blue, aliases: { web: 'gone' } }, { table: red })

    expect(names.findName('web')?.addresses).toEqual(['10.1.0.1'])
  })
})

describe('what changes', () => {
  it('is seen at once, and counted', () => {
    const table = tableOf('blue')
    const names = sandboxOn({ table })
    const revisions = [names.revision]

    table.add({ id: 'a', name: 'web', addresses: ['10.0.0.1'] })
    revisions.push(names.revision)
    table.add({ id: 'a', name: 'web', addresses: ['10.0.0.2'] })
    revisions.push(names.revision)
    expect(names.findName('web')?.addresses).toEqual(['10.0.0.2'])
    names.setNetworks([])
    revisions.push(names.revision)
    expect(names.findName('web')).toBeUndefined()
    names.setNetworks([{ table: tableOf('red') }])
    revisions.push(names.revision)
    table.remove('a')
    table.remove('a')

    expect([...revisions].sort((one, other) => one - other)).toEqual(revisions)
    expect(new Set(revisions).size).toBe(revisions.length)
    expect(table.endpointsNamed('web')).toEqual([])
  })

  it('does not go through when an address is none', () => {
    const table = tableOf('blue', { name: 'web', addresses: ['10.0.0.1'] })

    expect(() => {
      table.add({ id: 'blue-0', name: 'web', addresses: ['10.0.0.'] })
    }).toThrow('invalid address')
    expect(table.endpointsNamed('web')).toHaveLength(1)
  })
})

describe('an address', () => {
  it.each([
    ['10.0.0.1', 'web.blue'],
    ['fd00::1', 'web.blue'],
    ['10.1.0.1', 'web.red.example'],
    ['10.9.9.9', undefined],
  ])('%s is called %s', (address, name) => {
    expect(sandboxOn({ table: blue }, { table: red }).findAddress(address)).toBe(name)
  })
})

describe('a service', () => {
  const table = tableOf(
    'blue',
    { name: 'a', aliases: ['web'], addresses: ['10.0.0.1'], services: [{ name: 'http', protocol: 'tcp', port: 80 }] },
    { name: 'b', aliases: ['web'], addresses: ['10.0.0.2'], services: [{ name: 'http', protocol: 'tcp', port: 81 }] },
  )

  it.each(['_http._tcp.web', '_HTTP._TCP.WEB.blue'])('%s leads to every endpoint that has it', (name) => {
    expect(sandboxOn({ table }).findService(name)).toEqual([
      { target: 'a.blue', port: 80, addresses: ['10.0.0.1'] },
      { target: 'b.blue', port: 81, addresses: ['10.0.0.2'] },
    ])
  })

  it.each(['_http._udp.web', '_ftp._tcp.web', 'http.tcp.web', '_http._tcp.nobody', '_http'])(
    '%s is not known',
    (name) => {
      expect(sandboxOn({ table }).findService(name)).toBeUndefined()
    },
  )
})
