import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import type * as fileSystem from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { createNamespace } from './namespace.ts'

/** A process that has no descriptor left for the way home. */
vi.mock('node:fs', async (importOriginal) => {
  const fs = await importOriginal<typeof fileSystem>()
  const openSync: typeof fs.openSync = (path, ...rest) => {
    if (path === '/proc/thread-self/ns/net') throw new Error('EMFILE')
    return fs.openSync(path, ...rest)
  }
  return { ...fs, openSync }
})

const folder = mkdtempSync(join(tmpdir(), 'namespace-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

it('leaves no file where a namespace could not be made', () => {
  const path = join(folder, 'blue')

  expect(() => {
    createNamespace(path, () => undefined)
  }).toThrow('EMFILE')

  expect(existsSync(path)).toBe(false)
})
