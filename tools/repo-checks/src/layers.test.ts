import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { importsOf, packageOf } from './imports.ts'
import { layerOf, layers, pure, reserved } from './layers.ts'
import { dependenciesOf, packages, read, sourcesOf, type Package } from './workspace.ts'

/** `src/x.ts: import` for everything that the sources of a package import, fakes and suites for tests aside. */
function importsBySource(source: Package): { path: string; specifier: string }[] {
  return sourcesOf(source).flatMap((path) =>
    importsOf(read(source.folder, path)).map((specifier) => ({ path, specifier })),
  )
}

function isTesting(path: string): boolean {
  return path.startsWith('src/testing/')
}

describe('the layers', () => {
  it('name every package once', () => {
    const named = layers.flat()

    expect(packages.map(({ name }) => name).filter((name) => layerOf(name) === undefined)).toEqual([])
    expect(named).toEqual([...new Set(named)])
  })
})

describe.each(packages.map((entry) => [entry.name, entry] as const))('%s', (name, entry) => {
  const imports = importsBySource(entry)

  it('depends on packages of lower layers only', () => {
    const own = layerOf(name) ?? Infinity

    expect(dependenciesOf(entry.manifest).filter((other) => (layerOf(other) ?? Infinity) >= own)).toEqual([])
  })

  it('imports what its package.json names, all of it and nothing else', () => {
    const { dependencies = {}, peerDependencies = {} } = entry.manifest
    const foreign = imports.filter(({ specifier }) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
    const used = new Set(foreign.map(({ specifier }) => packageOf(specifier)))

    expect([...used].filter((other) => !(other in dependencies) && !(other in peerDependencies))).toEqual([])
    expect(Object.keys(dependencies).filter((other) => !used.has(other))).toEqual([])
  })

  it('imports Node only where it may, and by node: names', () => {
    const isNode = ({ specifier }: { specifier: string }): boolean => specifier.startsWith('node:')
    const found = imports.filter(({ path }) => pure.includes(name) && !isTesting(path)).filter(isNode)
    const bare = imports.filter(({ specifier }) => builtinModules.includes(specifier))

    expect(found).toEqual([])
    expect(bare).toEqual([])
  })

  it('leaves reserved dependencies to those that may have them', () => {
    const taken = Object.keys(entry.manifest.dependencies ?? {}).filter(
      (other) => reserved[other]?.includes(name) === false,
    )

    expect(taken).toEqual([])
  })

  it('reaches into no other package, and names the files of its own with their extension', () => {
    const relative = imports.filter(({ specifier }) => specifier.startsWith('.'))
    const outside = relative.filter(({ path, specifier }) => !join(path, '..', specifier).startsWith('src'))
    const deep = imports.filter(({ specifier }) => /^@net\/[^/]+\/(?!testing$)/.test(specifier))

    expect(relative.filter(({ specifier }) => !specifier.endsWith('.ts'))).toEqual([])
    expect(outside).toEqual([])
    expect(deep).toEqual([])
  })
})
