import { existsSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { beforeAll, describe, expect, it } from 'vitest'
import { packages, read, root, sourcesOf, type Package } from './workspace.ts'

/** The entry points of a package, as paths from its folder. */
function facesOf({ folder }: Package): string[] {
  return ['src/index.ts', 'src/testing/index.ts'].filter((path) => existsSync(join(folder, path)))
}

let checker: ts.TypeChecker
let program: ts.Program

beforeAll(() => {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.base.json'), ts.sys.readFile.bind(ts.sys)) as {
    config: object
  }
  const { options } = ts.parseJsonConfigFileContent({ ...config, files: [] }, ts.sys, root)
  const rootNames = packages.flatMap((entry) => facesOf(entry).map((path) => join(entry.folder, path)))
  program = ts.createProgram({ rootNames, options: { ...options, types: [] } })
  checker = program.getTypeChecker()
})

/** What an entry point exports, with the comment at the place where each is declared. */
function exportsOf(path: string): { name: string; comment: string }[] {
  const file = program.getSourceFile(path)
  const module = file === undefined ? undefined : checker.getSymbolAtLocation(file)
  if (module === undefined) return []
  return checker.getExportsOfModule(module).map((symbol) => {
    const declared = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    return { name: symbol.name, comment: ts.displayPartsToString(declared.getDocumentationComment(checker)) }
  })
}

describe.each(packages.map((entry) => [entry.name, entry] as const))('%s', (_name, entry) => {
  it('opens each entry point with what the package is', () => {
    for (const path of facesOf(entry)) {
      expect(read(entry.folder, path), path).toMatch(/^\/\*\*\n( \*.*\n)+ \* @packageDocumentation\n \*\/\n/)
    }
  })

  it('names its exports one by one, and has no default among them', () => {
    const sources = sourcesOf(entry)

    expect(sources.filter((path) => /^export \*/m.test(read(entry.folder, path)))).toEqual([])
    expect(sources.filter((path) => /^export default\b|\bas default\b/m.test(read(entry.folder, path)))).toEqual([])
  })

  it('does nothing in index.ts but export', () => {
    const { statements } = ts.createSourceFile('index.ts', read(entry.folder, 'src/index.ts'), ts.ScriptTarget.Latest)

    expect(statements.filter((statement) => !ts.isExportDeclaration(statement)).length).toBe(0)
  })

  it('has a sentence about everything it exports', () => {
    const exported = facesOf(entry).flatMap((path) => exportsOf(join(entry.folder, path)))

    expect(exported.length).toBeGreaterThan(0)
    expect(exported.filter(({ comment }) => comment.trim() === '').map(({ name }) => name)).toEqual([])
  })
})
