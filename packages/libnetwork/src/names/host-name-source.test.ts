import { expect, it } from 'vitest'
import { HostNameSource } from './host-name-source.ts'

it('knows one name, in any spelling, and the addresses it was told of', () => {
  const source = new HostNameSource('Host.Docker.Internal')
  expect(source.findName('host.docker.internal')).toEqual({ addresses: [] })
  source.setAddresses(['10.0.0.1', 'fd00::1'])

  expect(source.findName('HOST.docker.internal')).toEqual({ addresses: ['10.0.0.1', 'fd00::1'] })
  expect(source.findName('host.docker.internal.')).toEqual({ addresses: ['10.0.0.1', 'fd00::1'] })
  expect(source.findName('docker.internal')).toBeUndefined()
  expect(source.findAddress('fd00::1')).toBe('host.docker.internal')
  expect(source.findAddress('10.0.0.2')).toBeUndefined()
})

it('counts what changes, and only that', () => {
  const source = new HostNameSource('host')
  const revisions = [[], ['10.0.0.1'], ['10.0.0.1'], []].map((addresses) => {
    source.setAddresses(addresses)
    return source.revision
  })

  expect(revisions).toEqual([0, 1, 1, 2])
})
