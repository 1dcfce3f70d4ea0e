import { defineConfig } from 'vitest/config'

const conditions = ['@net/source', 'node', 'import', 'module', 'default']

/** Tests that want another kernel than most machines have: `npm run test:vm` brings it. */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    name: 'vm',
    include: ['packages/*/test/**/*.vm.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    // The machine may be an emulated one.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
