import ts from 'typescript'

/** What a source imports, exports from, or imports when it runs: the texts between the quotes. */
export function importsOf(text: string): string[] {
  const { importedFiles } = ts.preProcessFile(text, true, true)
  return importedFiles.map(({ fileName }) => fileName)
}

/** A package's name out of an import: `@net/ipam` of `@net/ipam/testing`, `zod` of `zod/mini`. */
export function packageOf(specifier: string): string {
  const parts = specifier.split('/')
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}
