import { describe, expect, it } from 'vitest'
import { codesDocumented, codesThrown, type ErrorCode } from './error-codes.ts'
import { packages, read, sourcesOf, type Package } from './workspace.ts'

/** One line a code, so that a difference names what is missing where. */
function line({ code, kind }: ErrorCode): string {
  return `${code} ${kind ?? '(depends on the cause)'}`
}

function thrownBy(entry: Package): string[] {
  return sourcesOf(entry)
    .flatMap((path) => codesThrown(read(entry.folder, path)))
    .map(line)
}

const known = new Set(packages.flatMap(thrownBy))

describe.each(packages.map((entry) => [entry.name, entry] as const))('%s', (_name, entry) => {
  const documented = codesDocumented(read(entry.folder, 'README.md')).map(line)

  it('has a row in its README for each error of its own, with its kind', () => {
    expect(thrownBy(entry).filter((code) => !documented.includes(code))).toEqual([])
  })

  it('has one row for a code, and none that nobody throws', () => {
    expect(documented.filter((code) => !known.has(code))).toEqual([])
    expect(documented).toEqual([...new Set(documented)])
  })
})
