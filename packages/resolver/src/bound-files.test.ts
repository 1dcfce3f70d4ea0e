import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { BoundFiles } from './bound-files.ts'
import { formatHostRecords, removeHostRecords } from './hosts-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'bound-files-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})
let count = 0
const freshPath = (): string => join(folder, `file${count++}`)
const files = new BoundFiles()

it('writes into the file that is there, never over it', async () => {
  const path = freshPath()
  await files.write(path, 'one\n', { mode: 0o640 })
  const { ino, mode } = statSync(path)

  await files.write(path, 'two, which is longer\n')
  await files.edit(path, (text) => text.replace(', which is longer', ''))
  await files.append(path, 'three\n')

  expect(readFileSync(path, 'utf8')).toBe('two\nthree\n')
  expect(statSync(path).ino).toBe(ino)
  expect(mode & 0o777).toBe(0o640)
})

it('adds nothing to no file, and something to none but one that is there', async () => {
  const path = freshPath()
  await files.append(path, '')

  await expect(files.append(path, 'line\n')).rejects.toThrow('ENOENT')
})

it('sees what a user changed, and only that', async () => {
  const path = freshPath()
  const hashPath = `${path}.hash`
  await files.write(path, 'nameserver 127.0.0.11\n', { hashPath })
  expect(await files.isModified(path, hashPath)).toBe(false)

  writeFileSync(path, 'nameserver 192.0.2.1\n')

  expect(await files.isModified(path, hashPath)).toBe(true)
  expect(readFileSync(hashPath, 'utf8')).toMatch(/^sha256:[0-9a-f]{64}$/)
  expect(readdirSync(folder).filter((name) => name.includes('.hash.'))).toEqual([])
})

it('takes a file without a hash for its own, and refuses a hash that is none', async () => {
  const path = freshPath()
  await files.write(path, 'text')
  writeFileSync(`${path}.hash`, 'md5:abc')

  expect(await files.isModified(path, `${path}.other`)).toBe(false)
  await expect(files.isModified(path, `${path}.hash`)).rejects.toThrow('invalid file hash')
})

// libnetwork: etchosts.TestConcurrentWrites
it('keeps what others wrote while many add and remove', async () => {
  const path = freshPath()
  await files.write(path, '10.0.0.254\tkeeper\n')
  const workers = Array.from({ length: 10 }, async (_, worker) => {
    const records = [{ address: `10.0.0.${worker}`, names: [`worker${worker}`] }]
    for (let times = 0; times < 25; times++) {
      await files.append(path, formatHostRecords(records))
      await files.edit(path, (text) => removeHostRecords(text, records))
    }
  })
  await Promise.all(workers)

  expect(readFileSync(path, 'utf8')).toBe('10.0.0.254\tkeeper\n')
})
