import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolders } from '../test/temporary-folder.ts'
import { answers, showLife } from './life-sign.ts'

describe('a sign of life', () => {
  const folder = temporaryFolders()

  it('answers as long as it is shown, and nothing is left of it', async () => {
    const path = await folder()
    const sign = await showLife(path, 'me')
    expect(await answers(path, 'me')).toBe(true)
    expect(await readdir(path)).toEqual(['me'])

    await sign[Symbol.asyncDispose]()
    expect(await answers(path, 'me')).toBe(false)
    expect(await readdir(path)).toEqual([])
  })

  it('says no more than that: who connects is cut off', async () => {
    const path = await folder()
    await using _sign = await showLife(path, 'me')
    const connection = createConnection(join(path, 'me')).resume()
    await once(connection, 'close')
  })

  it('is shown and seen in a folder whose path is longer than the address of a socket may be', async () => {
    const path = join(await folder(), 'd'.repeat(100), 'd'.repeat(100))
    await mkdir(path, { recursive: true })
    const sign = await showLife(path, 'me')
    expect(await readdir(path)).toEqual(['me'])
    expect(await answers(path, 'me')).toBe(true)
    expect(await answers(path, 'nobody')).toBe(false)
    expect(await answers(join(path, 'nowhere'), 'nobody')).toBe(false)

    await sign[Symbol.asyncDispose]()
    expect(await readdir(path)).toEqual([])
  })

  it('that is left over does not answer', async () => {
    const path = await folder()
    const server = createServer().listen(join(path, 'first'))
    await once(server, 'listening')
    // Closing takes the name that it knows with it.
    await rename(join(path, 'first'), join(path, 'left'))
    server.close()

    expect(await readdir(path)).toEqual(['left'])
    expect(await answers(path, 'left')).toBe(false)
  })

  it('of whom nothing can be said for certain counts as one', async () => {
    const path = await folder()
    await writeFile(join(path, 'file'), '')

    expect(await answers(join(path, 'file'), 'me')).toBe(true)
    expect(await answers(path, 'n'.repeat(300))).toBe(true)
  })

  it('leaves nothing where it cannot be shown', async () => {
    const path = await folder()
    await mkdir(join(path, 'me'))

    await expect(showLife(path, 'me')).rejects.toThrow()
    await expect(showLife(join(path, 'nowhere'), 'me')).rejects.toThrow()
    expect(await readdir(path)).toEqual(['me'])
  })
})
