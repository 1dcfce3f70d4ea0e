import { describe, expect, it } from 'vitest'
import { labels, parseLabel } from './index.ts'

describe('labels', () => {
  // libnetwork: netlabel.TestKeyValue
  it.each([
    ['com.directory.person.name=joe', 'com.directory.person.name', 'joe'],
    ['net.custom.option=a=b', 'net.custom.option', 'a=b'],
    ['net.custom.flag', 'net.custom.flag', ''],
    ['net.custom.empty=', 'net.custom.empty', ''],
    ['', '', ''],
  ])('%s is taken apart at its first equals sign', (label, name, value) => {
    expect(parseLabel(label)).toEqual({ name, value })
  })

  it('have the names that libnetwork gave them', () => {
    expect(labels.gateway).toBe('com.docker.network.gateway')
    expect(labels.macAddress).toBe('com.docker.network.endpoint.macaddress')
  })
})
