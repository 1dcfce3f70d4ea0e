import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../..', import.meta.url)).replace(/[/\\]$/, '')

/** The members of a package.json that the checks look at. */
export interface Manifest {
  readonly name: string
  readonly description?: string
  readonly exports?: Readonly<Record<string, unknown>>
  readonly scripts?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

/** A package below `packages/`: what is published. */
export interface Package {
  /** Name of its folder, and of the package below the scope. */
  readonly name: string
  readonly folder: string
  readonly manifest: Manifest
}

/** Every package below `packages/`, by name. */
export const packages: readonly Package[] = readdirSync(join(root, 'packages'))
  .sort()
  .map((name) => ({ name, folder: join(root, 'packages', name) }))
  .filter(({ folder }) => existsSync(join(folder, 'package.json')))
  .map((entry) => ({ ...entry, manifest: readJson(join(entry.folder, 'package.json')) as Manifest }))

/** What is made, fetched or kept by tools: none of it is written by us. */
const passedOver = ['node_modules', 'dist', '.git', '.turbo', '.cache', 'coverage']

/** Every file below `folder` that we wrote, with `/` between the parts of its path from there. */
export function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !passedOver.includes(name))
    .flatMap((entry) => {
      if (!entry.isDirectory()) return entry.isFile() ? [entry.name] : []
      return filesBelow(join(folder, entry.name)).map((path) => `${entry.name}/${path}`)
    })
    .sort()
}

/** The sources of a package, tests not among them, as paths from its folder. */
export function sourcesOf({ folder }: Package): string[] {
  return filesBelow(join(folder, 'src'))
    .filter((path) => path.endsWith('.ts') && !/\.(test|test-d|bench)\.ts$/.test(path))
    .map((path) => `src/${path}`)
}

/** The examples of a package, as paths from its folder. */
export function examplesOf({ folder }: Package): string[] {
  return filesBelow(join(folder, 'examples'))
    .filter((path) => path.endsWith('.mjs'))
    .map((path) => `examples/${path}`)
}

/** Names of the `@net` packages that a manifest depends on, without the scope. */
export function dependenciesOf({ dependencies = {} }: Manifest): string[] {
  return Object.keys(dependencies)
    .filter((name) => name.startsWith('@net/'))
    .map((name) => name.slice('@net/'.length))
    .sort()
}

/** Text of a file; empty when there is none, so that a check says what is missing in its own words. */
export function read(...parts: readonly string[]): string {
  const path = join(...parts)
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

export function readJson(...parts: readonly string[]): unknown {
  return JSON.parse(readFileSync(join(...parts), 'utf8'))
}
