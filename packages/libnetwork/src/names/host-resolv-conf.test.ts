import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '@net/types'
import { silentLogger } from '@net/types'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { HostResolvConf } from './host-resolv-conf.ts'

let folder: string
let path: string
let conf: HostResolvConf
let stop: () => void
let changed: () => void
let warnings: string[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'host-resolv-conf-'))
  path = join(folder, 'resolv.conf')
  warnings = []
  const warn: Logger['warn'] = (_fields, message) => warnings.push(message)
  conf = new HostResolvConf(path, { pollMs: 5, logger: { ...silentLogger, warn } })
  ;[stop, changed] = [() => undefined, () => undefined]
})
afterEach(() => {
  stop()
  rmSync(folder, { recursive: true })
})

/** Resolves after the next change that is told. */
function nextChange(): Promise<void> {
  return new Promise((resolve) => {
    changed = resolve
  })
}

function follow(): void {
  stop = conf.follow(() => {
    changed()
  })
}

/** What is said after the change that `work` makes. */
async function after(work: () => void): Promise<readonly string[]> {
  const told = nextChange()
  work()
  await told
  return conf.current.nameServers
}

it('says what the file says now, whether it is followed or not', async () => {
  expect(conf.current.nameServers).toEqual([])
  writeFileSync(path, 'nameserver 192.0.2.1\n')
  expect(conf.current.nameServers).toEqual(['192.0.2.1'])

  follow()

  expect(
    await after(() => {
      writeFileSync(path, 'nameserver 192.0.2.22\n')
    }),
  ).toEqual(['192.0.2.22'])
  stop()
  writeFileSync(path, 'nameserver 192.0.2.3\n')
  expect(conf.current.nameServers).toEqual(['192.0.2.3'])
})

it('sees that the file vanishes and that it returns', async () => {
  writeFileSync(path, 'nameserver 192.0.2.1\n')
  follow()

  expect(
    await after(() => {
      rmSync(path)
    }),
  ).toEqual([])
  expect(
    await after(() => {
      writeFileSync(path, 'nameserver 192.0.2.2\n')
    }),
  ).toEqual(['192.0.2.2'])
})

it('sees another file in the place of the one before', async () => {
  writeFileSync(path, 'nameserver 192.0.2.1\n')
  follow()

  const other = join(folder, 'other')
  writeFileSync(other, 'nameserver 192.0.2.2\n')
  expect(
    await after(() => {
      renameSync(other, path)
    }),
  ).toEqual(['192.0.2.2'])
})

it('goes along with a link that leads elsewhere, to nothing, and back', async () => {
  const [one, two] = [join(folder, 'one'), join(folder, 'two')]
  const linkTo = (target: string): void => {
    symlinkSync(target, join(folder, 'new'))
    renameSync(join(folder, 'new'), path)
  }
  writeFileSync(one, 'nameserver 192.0.2.1\n')
  writeFileSync(two, 'nameserver 192.0.2.2\n')
  linkTo(one)
  follow()
  expect(conf.current.nameServers).toEqual(['192.0.2.1'])

  expect(
    await after(() => {
      linkTo(two)
    }),
  ).toEqual(['192.0.2.2'])
  expect(
    await after(() => {
      writeFileSync(two, 'nameserver 192.0.2.23\n')
    }),
  ).toEqual(['192.0.2.23'])
  expect(
    await after(() => {
      linkTo(join(folder, 'nothing'))
    }),
  ).toEqual([])
  expect(
    await after(() => {
      linkTo(one)
    }),
  ).toEqual(['192.0.2.1'])
})

it('keeps to what was said where the file cannot be read, and tells of that once', async () => {
  writeFileSync(path, 'nameserver 192.0.2.1\n')
  follow()
  let asked = 0

  expect(
    await after(() => {
      rmSync(path)
      mkdirSync(path)
    }),
  ).toEqual(['192.0.2.1'])
  stop()
  stop = conf.follow(() => asked++)
  expect(warnings).toEqual([
    'resolv.conf of the host cannot be read',
    // Who begins to follow reads it anew.
    'resolv.conf of the host cannot be read',
  ])
  expect(asked).toBe(0)
})

it('tells all who follow, until each has enough', async () => {
  const told: string[] = []
  const one = conf.follow(() => told.push('one'))
  follow()
  expect(
    await after(() => {
      writeFileSync(path, 'nameserver 192.0.2.1\n')
    }),
  ).toEqual(['192.0.2.1'])
  one()
  one()

  expect(
    await after(() => {
      writeFileSync(path, 'nameserver 192.0.2.22\n')
    }),
  ).toEqual(['192.0.2.22'])

  expect(told).toEqual(['one'])
})

it('says whom systemd-resolved asks, to those who cannot reach it', () => {
  const resolvedPath = join(folder, 'resolved.conf')
  const host = new HostResolvConf(path, { resolvedPath })
  writeFileSync(path, 'nameserver 127.0.0.53\noptions edns0\n')
  expect(host.reachable.nameServers).toEqual(['127.0.0.53'])
  writeFileSync(resolvedPath, 'nameserver 192.0.2.1\nsearch home.example\n')

  expect(host.reachable).toMatchObject({ nameServers: ['192.0.2.1'], search: ['home.example'] })
  expect(host.current.nameServers).toEqual(['127.0.0.53'])
  // Where others are listed beside it, those are meant.
  writeFileSync(path, 'nameserver 127.0.0.53\nnameserver 192.0.2.2\n')
  expect(host.reachable.nameServers).toEqual(['127.0.0.53', '192.0.2.2'])
})
