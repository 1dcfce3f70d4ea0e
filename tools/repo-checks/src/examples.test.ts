import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { inspect, promisify } from 'node:util'
import { runInNewContext } from 'node:vm'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { examples, unkeptPromises } from './examples.ts'
import { packAll, place, type Packed } from './packed.ts'
import { packages, read, readJson } from './workspace.ts'

const exec = promisify(execFile)

let packed: Packed
beforeAll(async () => {
  packed = await packAll()
})
// Packing may have failed, and then there is nothing to remove.
afterAll(() => (packed as Packed | undefined)?.[Symbol.dispose]())

describe('an example, pasted into an empty project with the package installed', () => {
  it.each(examples('anywhere'))('%s runs, and prints what it says', async (_title, { entry, path }) => {
    const { file, cwd } = place(entry, path, await packed.install(entry))

    const { stdout, stderr } = await exec(process.execPath, [file], { cwd, env: {} })

    expect(stderr).toBe('')
    expect(stdout.trim()).not.toBe('')
    expect(unkeptPromises(read(entry.folder, path), stdout)).toEqual([])
  })
})

/** Packages that are for everybody: those who want an allocator want no native code. */
const forEverybody: readonly string[] = ['bitseq', 'idm', 'ipam', 'plugins', 'drivers-remote']

describe('what is installed', () => {
  it.each(packages.map((entry) => [entry.name, entry] as const))(
    'of %s has a license, no tests',
    async (_name, entry) => {
      const { folders } = await packed.install(entry)
      const files = everythingIn(folders.get(entry.manifest.name) ?? '')

      expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'dist/index.js', 'dist/index.d.ts']))
      expect(files.filter((path) => /\.(test|test-d|bench)\.|tsbuildinfo$/.test(path))).toEqual([])
    },
  )

  it.each(forEverybody)('with %s has no native code, and nothing that runs on installing', async (name) => {
    const entry = packages.find((other) => other.name === name)
    const { folders } = await packed.install(entry!)

    for (const [installed, folder] of folders) {
      const { scripts = {} } = readJson(folder, 'package.json') as { scripts?: Record<string, string> }

      expect(
        everythingIn(folder).filter((path) => /\.(node|so|gyp)$/.test(path)),
        installed,
      ).toEqual([])
      expect(
        Object.keys(scripts).filter((script) => /^(pre|post)?install$/.test(script)),
        installed,
      ).toEqual([])
    }
  })
})

/** What also runs where there is no Node. */
const forBrowsers: readonly string[] = ['bitseq/examples/allocate-ids.mjs', 'idm/examples/take-ids.mjs']

describe('in a browser bundle', () => {
  it.each(examples('anywhere').filter(([title]) => forBrowsers.includes(title)))(
    '%s runs, and prints what it says',
    async (_title, { entry, path }) => {
      const { file, cwd } = place(entry, path, await packed.install(entry))
      const { outputFiles } = await build({
        absWorkingDir: cwd,
        entryPoints: [file],
        bundle: true,
        write: false,
        platform: 'browser',
        format: 'iife',
      })
      const lines: string[] = []
      const log = (...values: unknown[]): void => void lines.push(values.map(show).join(' '))

      // Nothing is there but the language and a console.
      runInNewContext(outputFiles[0]!.text, { console: { log } })

      expect(unkeptPromises(read(entry.folder, path), lines.join('\n'))).toEqual([])
    },
  )
})

function show(value: unknown): string {
  return typeof value === 'string' ? value : inspect(value)
}

function everythingIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
}
