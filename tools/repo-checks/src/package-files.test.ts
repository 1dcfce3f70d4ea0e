import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { dependenciesOf, examplesOf, filesBelow, packages, read, readJson } from './workspace.ts'

const required = [
  'README.md',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsup.config.ts',
  'src/index.ts',
] as const

function entryPoint(folder: string): unknown {
  return {
    '@net/source': `./src/${folder}index.ts`,
    types: `./dist/${folder}index.d.ts`,
    default: `./dist/${folder}index.js`,
  }
}

describe.each(packages.map((entry) => [entry.name, entry] as const))('%s', (name, entry) => {
  const { folder, manifest } = entry

  it('has the files of a package, an example among them', () => {
    expect(required.filter((path) => !existsSync(join(folder, path)))).toEqual([])
    expect(examplesOf(entry).length).toBeGreaterThan(0)
  })

  it('says in package.json what every package says', () => {
    expect(manifest).toMatchObject({
      name: `@net/${name}`,
      license: 'Apache-2.0',
      type: 'module',
      sideEffects: false,
      engines: { node: '>=20.19' },
      files: ['dist', 'src', '!dist/*.tsbuildinfo', '!src/**/*.test.ts'],
      publishConfig: { access: 'public' },
      scripts: { build: 'tsup && tsc -b tsconfig.build.json', test: 'vitest run' },
    })
    expect(manifest).toHaveProperty('version', expect.stringMatching(/^\d+\.\d+\.\d+$/))
  })

  it('has one entry point, or a second for tests', () => {
    const hasTesting = existsSync(join(folder, 'src/testing/index.ts'))

    expect(manifest.exports).toEqual({
      '.': entryPoint(''),
      ...(hasTesting ? { './testing': entryPoint('testing/') } : {}),
      './package.json': './package.json',
    })
  })

  it('depends on its sisters by workspace, on others by version', () => {
    const { dependencies = {} } = manifest
    const ownByVersion = Object.entries(dependencies).filter(
      ([other, range]) => other.startsWith('@net/') !== (range === 'workspace:^'),
    )

    expect(ownByVersion).toEqual([])
  })

  it('is built after what it depends on', () => {
    const { references } = readJson(folder, 'tsconfig.build.json') as { references: { path: string }[] }

    expect(references.map(({ path }) => path).sort()).toEqual(
      dependenciesOf(manifest)
        .map((other) => `../${other}/tsconfig.build.json`)
        .sort(),
    )
  })

  it('says the same about itself in package.json, index.ts and README', () => {
    const sentence = `${manifest.description ?? ''}.`

    expect(read(folder, 'README.md').split('\n').slice(0, 3)).toEqual([`# @net/${name}`, '', sentence])
    expect(read(folder, 'src/index.ts').split('\n')[1]).toBe(` * ${sentence}`)
  })

  it('names its files in kebab case', () => {
    const files = [...filesBelow(join(folder, 'src')), ...filesBelow(join(folder, 'examples'))]

    expect(
      files.filter((path) => !/^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+(-[a-z0-9]+)*(\.[a-z-]+)+$/.test(path)),
    ).toEqual([])
  })
})
