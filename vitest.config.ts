import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const conditions = ['@net/source', 'node', 'import', 'module', 'default']

/** Tests read the sources of sibling packages: nothing has to be built to run one. */
export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    // A process for each file: a kernel test moves its main thread into a network namespace of its own.
    pool: 'forks',
    // Kernel tests mostly wait: two at a time do even on two processors.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{packages,apps,tools}/*/{src,test}/**/*.test.ts'],
          exclude: ['**/*.{kernel,vm}.test.ts', '**/node_modules/**'],
        },
      },
      {
        extends: true,
        test: {
          name: 'kernel',
          include: ['{packages,apps,tools}/*/{src,test}/**/*.kernel.test.ts'],
        },
      },
    ],
  },
})
