/** `npm run check`: format, lint, types, unused code, then packages as others see them. A warning is an error. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ensureBuilt, ensureInstalled, root, run, say, tool } from './ensure.mjs'

ensureInstalled()
ensureBuilt()

const folders = ['packages', 'apps', 'tools']
  .flatMap((parent) => readdirSync(join(root, parent)).map((name) => join(root, parent, name)))
  .filter((folder) => readdirSync(folder).includes('tsconfig.json'))
const publishable = readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name))

step('format', () => run(tool('prettier'), ['--check', '--log-level', 'warn', '.']))
step('lint', () =>
  run(tool('eslint'), ['--max-warnings', '0', '--cache', '--cache-location', 'node_modules/.cache/eslint/', '.']),
)
step('types', () => folders.forEach((folder) => run(tool('tsc'), ['-p', folder])))
step('unused code and dependencies', () => run(tool('knip'), []))
step('packages as others see them', () => {
  for (const folder of publishable) {
    run(tool('publint'), ['--strict', folder])
    run(tool('attw'), ['--pack', '--profile', 'esm-only', '--quiet', folder])
  }
})
say('all checks passed')

function step(title, work) {
  const start = performance.now()
  work()
  say(`${title}: ${((performance.now() - start) / 1000).toFixed(1)} s`)
}
