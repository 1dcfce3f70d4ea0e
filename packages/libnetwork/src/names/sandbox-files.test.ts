import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BoundFiles } from '@net/resolver'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SandboxFiles } from './sandbox-files.ts'

let parent: string
let files: SandboxFiles
const texts = { hosts: '127.0.0.1\tlocalhost\n', resolvConf: 'nameserver 127.0.0.11\n', hostname: 'web\n' }
const own = [{ address: '10.0.0.2', names: ['web'] }]

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'sandbox-files-'))
  files = new SandboxFiles(join(parent, 'web.files'), new BoundFiles())
})
afterEach(() => {
  rmSync(parent, { recursive: true, force: true })
})

const textOf = (path: string): string => readFileSync(path, 'utf8')

it('are made once, when somebody asks for them', async () => {
  await files.addHosts(own)
  await files.changeResolvConf(() => 'nameserver 192.0.2.1\n')
  expect(readdirSync(parent)).toEqual([])

  files.make(() => texts)
  files.make(() => {
    throw new Error('asked twice')
  })

  expect([files.paths.hosts, files.paths.resolvConf, files.paths.hostname].map(textOf)).toEqual([
    texts.hosts,
    texts.resolvConf,
    texts.hostname,
  ])
  expect(statSync(files.paths.hosts).mode & 0o777).toBe(0o644)
  expect(statSync(join(parent, 'web.files')).mode & 0o777).toBe(0o755)
})

it('are changed in place', async () => {
  files.make(() => texts)
  const inodes = (): number[] => [files.paths.hosts, files.paths.resolvConf].map((path) => statSync(path).ino)
  const before = inodes()

  await files.addHosts(own)
  await files.changeResolvConf(() => 'nameserver 192.0.2.1\n')
  await files.changeResolvConf(() => 'nameserver 192.0.2.2\n')

  expect(textOf(files.paths.hosts)).toBe(`${texts.hosts}10.0.0.2\tweb\n`)
  expect(textOf(files.paths.resolvConf)).toBe('nameserver 192.0.2.2\n')
  expect(inodes()).toEqual(before)
  await files.removeHosts(own)
  expect(textOf(files.paths.hosts)).toBe(texts.hosts)
})

it('stay as somebody else wrote them', async () => {
  files.make(() => texts)
  writeFileSync(files.paths.resolvConf, 'nameserver 192.0.2.9\n')

  await files.changeResolvConf(() => 'nameserver 192.0.2.1\n')

  expect(textOf(files.paths.resolvConf)).toBe('nameserver 192.0.2.9\n')
})

it('stay away where somebody removed them', async () => {
  files.make(() => texts)
  rmSync(files.paths.hosts)
  rmSync(files.paths.resolvConf)

  await files.addHosts(own)
  await files.removeHosts(own)
  await files.changeResolvConf(() => 'nameserver 192.0.2.1\n')

  expect(existsSync(files.paths.hosts)).toBe(false)
  expect(existsSync(files.paths.resolvConf)).toBe(false)
})

it('are there all or none', () => {
  writeFileSync(join(parent, 'web.files'), 'in the way')

  expect(() => {
    files.make(() => texts)
  }).toThrow(/EEXIST|ENOTDIR/)
  expect(readdirSync(parent)).toEqual([])
  files.make(() => texts)
  expect(textOf(files.paths.hostname)).toBe('web\n')
})

it('go when they are deleted, and twice is no error', async () => {
  await files.delete()
  files.make(() => texts)

  await files.delete()
  await files.delete()

  expect(readdirSync(parent)).toEqual([])
})

const adopt = async (): Promise<SandboxFiles> => {
  const later = new SandboxFiles(join(parent, 'web.files'), new BoundFiles())
  await later.adopt('web', own, () => ({ ...texts, hosts: `${texts.hosts}192.0.2.9\textra\n10.0.0.2\tweb\n` }))
  return later
}

describe('are whole again', () => {
  beforeEach(() => {
    files.make(() => ({ ...texts, hosts: `${texts.hosts}192.0.2.9\textra\n10.0.0.2\tweb\n` }))
  })
  const all = (): Record<string, string> =>
    Object.fromEntries(
      readdirSync(join(parent, 'web.files')).map((name) => [name, textOf(join(parent, 'web.files', name))]),
    )

  it.each<[string, (paths: SandboxFiles['paths']) => void]>([
    ['nothing was being done', () => undefined],
    [
      'hosts was empty',
      ({ hosts }) => {
        writeFileSync(hosts, '')
      },
    ],
    [
      'hosts said of the sandbox alone',
      ({ hosts }) => {
        writeFileSync(hosts, '10.0.0.2\tweb\n')
      },
    ],
    [
      'hosts had an old address of the sandbox alone',
      ({ hosts }) => {
        writeFileSync(hosts, '10.0.0.7\tweb\n')
      },
    ],
    [
      'hosts was not cut off',
      ({ hosts }) => {
        writeFileSync(hosts, `${textOf(hosts)}\n\n\n`)
      },
    ],
    [
      'hosts said twice where the sandbox is',
      ({ hosts }) => {
        writeFileSync(hosts, `${textOf(hosts)}10.0.0.2\tweb\n`)
      },
    ],
    [
      'resolv.conf was empty',
      ({ resolvConf }) => {
        writeFileSync(resolvConf, '')
      },
    ],
    [
      'resolv.conf was not cut off',
      ({ resolvConf }) => {
        writeFileSync(resolvConf, `${texts.resolvConf}\n\n`)
      },
    ],
    [
      'resolv.conf was missing',
      ({ resolvConf }) => {
        unlinkSync(resolvConf)
      },
    ],
    [
      'resolv.conf was without a hash',
      ({ resolvConf }) => {
        unlinkSync(`${resolvConf}.hash`)
      },
    ],
    [
      'hostname was missing',
      ({ hostname }) => {
        unlinkSync(hostname)
      },
    ],
    [
      'hostname was empty',
      ({ hostname }) => {
        writeFileSync(hostname, '')
      },
    ],
    [
      'a hash was being written',
      ({ resolvConf }) => {
        writeFileSync(`${resolvConf}.hash.0123456789ab`, 'sha')
      },
    ],
  ])('where %s when the process died', async (_, lose) => {
    const whole = all()
    lose(files.paths)

    const later = await adopt()
    await later.changeResolvConf(() => 'nameserver 192.0.2.1\n')
    await later.changeResolvConf(() => texts.resolvConf)

    expect(all()).toEqual(whole)
  })

  it('without being written, where they are as they are to be', async () => {
    const states = (): unknown[] =>
      readdirSync(join(parent, 'web.files')).map((name) => {
        const { ino, mtimeNs } = statSync(join(parent, 'web.files', name), { bigint: true })
        return { name, ino, mtimeNs }
      })
    const before = states()

    const later = await adopt()
    await later.changeResolvConf(() => texts.resolvConf)

    expect(states()).toEqual(before)
  })

  it.each([true, false])('and nobody is asked whether they can have ::1, as they say: %s', async (hasIpv6) => {
    const hosts = (has: boolean): string => `127.0.0.1\tlocalhost\n${has ? '::1\tlocalhost\n' : ''}10.0.0.2\tweb\n`
    writeFileSync(files.paths.hosts, hosts(hasIpv6))
    const asked: unknown[] = []

    await new SandboxFiles(join(parent, 'web.files'), new BoundFiles()).adopt('web', own, (where) => {
      asked.push(where)
      return { ...texts, hosts: hosts(where?.hasIpv6 ?? false) }
    })

    expect(asked).not.toContain(undefined)
    expect(textOf(files.paths.hosts)).toBe(hosts(hasIpv6))
  })

  it.each([
    ['begun', (): void => undefined],
    [
      'done in part',
      (): void => {
        writeFileSync(files.paths.hosts, '127.0.0.1\tlocalhost\n10.0.0.2\tanother\n')
        writeFileSync(files.paths.hostname, 'another\n')
      },
    ],
  ])('where writing them anew was %s, and was not recorded, when the process died', async (_, write) => {
    const whole = all()
    writeFileSync(join(parent, 'web.files', 'rewriting'), '')
    write()

    await adopt()

    expect(all()).toEqual(whole)
  })

  it('are as they were written anew once that is recorded', async () => {
    await files.rewrite(() => ({ ...texts, hostname: 'another\n' }))
    await files.recorded()

    await adopt()

    expect(textOf(files.paths.hostname)).toBe('another\n')
  })

  it('keep what others wrote', async () => {
    writeFileSync(files.paths.hosts, '127.0.0.1\tlocalhost\n10.0.0.7\tweb\n192.0.2.7\tother\n')
    writeFileSync(files.paths.resolvConf, 'nameserver 192.0.2.9\n')

    const later = await adopt()
    await later.changeResolvConf(() => 'nameserver 192.0.2.1\n')

    expect(textOf(files.paths.hosts)).toBe('127.0.0.1\tlocalhost\n192.0.2.7\tother\n10.0.0.2\tweb\n')
    expect(textOf(files.paths.resolvConf)).toBe('nameserver 192.0.2.9\n')
  })
})

it('are not there when the process died while they were being made, and are made then', async () => {
  mkdirSync(join(parent, '0123456789ab.files'))
  writeFileSync(join(parent, '0123456789ab.files', 'hosts'), '')

  const later = await adopt()
  expect(later.areMade).toBe(false)
  later.make(() => texts)

  expect(textOf(later.paths.hostname)).toBe('web\n')
})
