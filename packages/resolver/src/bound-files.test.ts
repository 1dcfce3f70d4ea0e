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

const old = 'nameserver 192.0.2.1\noptions ndots:0 edns0\n'
const next = 'nameserver 192.0.2.2\n'

it.each([
  ['not begun', old],
  ['not cut off what was longer', next + '\n'.repeat(old.length - next.length)],
  ['not said so', next],
])('knows a file as its own that was being written by a process which died when it had %s', async (_, text) => {
  const [one, two] = [freshPath(), freshPath()]
  await files.write(one, old, { hashPath: `${one}.hash` })
  await files.write(two, next, { hashPath: `${two}.hash` })
  const hashes = [two, one].map((path) => readFileSync(`${path}.hash`, 'utf8'))

  writeFileSync(one, text)
  writeFileSync(`${one}.hash`, hashes.join('\n'))

  expect(await files.isModified(one, `${one}.hash`)).toBe(false)
  await files.write(one, next, { hashPath: `${one}.hash` })
  expect(readFileSync(one, 'utf8')).toBe(next)
  expect(readFileSync(`${one}.hash`, 'utf8')).toBe(hashes[0])
  writeFileSync(one, old)
  expect(await files.isModified(one, `${one}.hash`)).toBe(true)
})

it('is never empty, whenever somebody looks', async () => {
  const path = freshPath()
  await files.write(path, old)
  const seen = new Set<string>()
  const looking = setInterval(() => seen.add(readFileSync(path, 'utf8')), 0)

  for (let times = 0; times < 300; times++) {
    await files.write(path, next)
    await files.edit(path, () => old)
  }

  clearInterval(looking)
  expect(seen.size).toBeGreaterThan(1)
  expect(seen).not.toContain('')
})

it.each<[string, boolean, (path: string) => void]>([
  ['that text', true, () => undefined],
  [
    'a longer one',
    false,
    (path) => {
      writeFileSync(path, `${old}\n`)
    },
  ],
  [
    'a shorter one',
    false,
    (path) => {
      writeFileSync(path, old.slice(1))
    },
  ],
  [
    'nothing, since it is not there',
    false,
    (path) => {
      rmSync(path)
    },
  ],
  [
    'that text, of which no hash is kept',
    false,
    (path) => {
      rmSync(`${path}.hash`)
    },
  ],
  [
    'that text, and a hash of another is kept',
    false,
    (path) => {
      writeFileSync(`${path}.hash`, 'sha256:0')
    },
  ],
])('says %s: %s', async (_, expected, change) => {
  const path = freshPath()
  const options = { hashPath: `${path}.hash` }
  await files.write(path, old, options)
  change(path)

  expect(files.says(path, old, options)).toBe(expected)
})

it('is not written when it says that already', async () => {
  const path = freshPath()
  const paths = [path, `${path}.hash`]
  await files.write(path, old, { hashPath: `${path}.hash` })
  const before = paths.map((one) => statSync(one, { bigint: true }))

  await files.write(path, old, { hashPath: `${path}.hash` })

  const after = paths.map((one) => statSync(one, { bigint: true }))
  expect(after.map(({ ino, mtimeNs }) => [ino, mtimeNs])).toEqual(before.map(({ ino, mtimeNs }) => [ino, mtimeNs]))
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
