import { defineConfig, type Options } from 'tsup'

/** How every package makes its JavaScript. Declarations come from `tsc -b`, which does it faster. */
export function packageConfig(
  entry: Record<string, string> = { index: 'src/index.ts' },
): ReturnType<typeof defineConfig> {
  const options: Options = {
    entry,
    format: 'esm',
    target: 'node20',
    platform: 'neutral',
    external: [/^node:/],
    sourcemap: true,
    clean: true,
    splitting: true,
    silent: true,
  }
  return defineConfig(options)
}
