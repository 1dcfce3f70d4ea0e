#!/usr/bin/env node
/** `npm run new-package NAME [DESCRIPTION]` writes the skeleton of a package. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const [name, description = 'TODO: one sentence'] = process.argv.slice(2)
if (name === undefined || !/^[a-z][a-z0-9-]*$/.test(name)) {
  console.error('usage: npm run new-package NAME ["DESCRIPTION"]   (NAME: lower case, digits, dashes)')
  process.exit(2)
}
const folder = join(dirname(fileURLToPath(import.meta.url)), '../../packages', name)
if (existsSync(folder)) {
  console.error(`packages/${name} exists`)
  process.exit(1)
}

const json = (value) => `${JSON.stringify(value, undefined, 2)}\n`
const files = {
  'package.json': json({
    name: `@net/${name}`,
    version: '0.1.0',
    description,
    license: 'Apache-2.0',
    type: 'module',
    sideEffects: false,
    engines: { node: '>=20.19' },
    exports: {
      '.': { '@net/source': './src/index.ts', types: './dist/index.d.ts', default: './dist/index.js' },
      './package.json': './package.json',
    },
    files: ['dist', 'src', '!dist/*.tsbuildinfo', '!src/**/*.test.ts'],
    publishConfig: { access: 'public' },
    scripts: { build: 'tsup && tsc -b tsconfig.build.json', test: 'vitest run' },
    ...(name === 'types' ? {} : { dependencies: { '@net/types': 'workspace:^' } }),
  }),
  'tsconfig.json': json({
    extends: '../../tsconfig.base.json',
    include: ['src', 'test', 'examples', 'bench', 'tsup.config.ts', '../../tsup.base.ts'],
  }),
  'tsconfig.build.json': json({
    extends: '../../tsconfig.build.base.json',
    compilerOptions: { rootDir: 'src', outDir: 'dist', tsBuildInfoFile: 'dist/build.tsbuildinfo' },
    include: ['src'],
    exclude: ['src/**/*.test.ts'],
    references: name === 'types' ? [] : [{ path: '../types/tsconfig.build.json' }],
  }),
  'tsup.config.ts': `import { packageConfig } from '../../tsup.base.ts'\n\nexport default packageConfig()\n`,
  'README.md': `# @net/${name}\n\n${description}.\n`,
  'src/index.ts': `/**\n * ${description}.\n *\n * @packageDocumentation\n */\n\nexport {}\n`,
}
for (const [path, text] of Object.entries(files)) {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}
console.log(`packages/${name} is ready; add its layer to tools/repo-checks/src/layers.ts`)
