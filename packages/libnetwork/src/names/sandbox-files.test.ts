import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BoundFiles } from '@net/resolver'
import { afterEach, beforeEach, expect, it } from 'vitest'
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
  await files.changeResolvConf('nameserver 192.0.2.1\n')
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
  await files.changeResolvConf('nameserver 192.0.2.1\n')
  await files.changeResolvConf('nameserver 192.0.2.2\n')

  expect(textOf(files.paths.hosts)).toBe(`${texts.hosts}10.0.0.2\tweb\n`)
  expect(textOf(files.paths.resolvConf)).toBe('nameserver 192.0.2.2\n')
  expect(inodes()).toEqual(before)
  await files.removeHosts(own)
  expect(textOf(files.paths.hosts)).toBe(texts.hosts)
})

it('stay as somebody else wrote them', async () => {
  files.make(() => texts)
  writeFileSync(files.paths.resolvConf, 'nameserver 192.0.2.9\n')

  await files.changeResolvConf('nameserver 192.0.2.1\n')

  expect(textOf(files.paths.resolvConf)).toBe('nameserver 192.0.2.9\n')
})

it('stay away where somebody removed them', async () => {
  files.make(() => texts)
  rmSync(files.paths.hosts)
  rmSync(files.paths.resolvConf)

  await files.addHosts(own)
  await files.removeHosts(own)
  await files.changeResolvConf('nameserver 192.0.2.1\n')

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
