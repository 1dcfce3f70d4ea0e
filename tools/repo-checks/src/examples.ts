import { examplesOf, packages, type Package } from './workspace.ts'

/** Packages whose examples touch the kernel: they need root and a host of their own. */
const onKernel: readonly string[] = ['netlink-ffi', 'firewall', 'osl', 'libnetwork']

/** An example to run. */
export interface Example {
  readonly entry: Package
  /** Path from the package's folder. */
  readonly path: string
}

/** Every example that runs anywhere, or every one that needs the kernel, each with its title. */
export function examples(where: 'anywhere' | 'kernel'): [title: string, example: Example][] {
  return packages
    .filter(({ name }) => onKernel.includes(name) === (where === 'kernel'))
    .flatMap((entry) => examplesOf(entry).map((path): [string, Example] => [`${entry.name}/${path}`, { entry, path }]))
}

/**
 * What an example says it prints and does not: the comments behind its calls of `console.log`, looked for
 * in the output one after another. What follows a colon may be an explanation. White space and commas,
 * which depend on how values are laid out, do not count.
 */
export function unkeptPromises(source: string, output: string): string[] {
  const bare = (text: string): string => text.replace(/[\s,]/g, '')
  let rest = bare(output)
  return promises(source).filter((promise) => {
    for (const said of [promise, promise.split(':')[0] ?? '']) {
      const at = rest.indexOf(bare(said))
      if (at < 0) continue
      rest = rest.slice(at + bare(said).length)
      return false
    }
    return true
  })
}

function promises(source: string): string[] {
  return source.split('\n').flatMap((line) => /console\.log\(.*\).* \/\/ (.+)$/.exec(line)?.[1] ?? [])
}
