import { describe, expect, it } from 'vitest'
import { anchorsOf, firstBlock, linksOf, sectionsOf } from './documents.ts'
import { codesDocumented, codesThrown } from './error-codes.ts'
import { unkeptPromises } from './examples.ts'
import { importsOf, packageOf } from './imports.ts'

describe('the checks', () => {
  it('see every way of importing', () => {
    const source = `
      import { a } from './a.ts'
      import type { B } from '@net/types'
      export { c } from 'c'
      const d = await import('node:fs')
      // import { e } from 'e'
    `

    expect(importsOf(source)).toEqual(['./a.ts', '@net/types', 'c', 'node:fs'])
  })

  it.each([
    ['@net/ipam/testing', '@net/ipam'],
    ['zod/mini', 'zod'],
    ['koffi', 'koffi'],
  ])('know the package of %s', (specifier, name) => {
    expect(packageOf(specifier)).toBe(name)
  })

  it('find the errors of a source, with their kinds where they are written', () => {
    const source = `
      super(message, { code: 'ERR_A', kind: 'retry' })
      super(message, { kind: kindOf(cause), code: 'ERR_B', cause })
      if (error.code === 'ERR_C') throw error
    `

    expect(codesThrown(source)).toEqual([
      { code: 'ERR_A', kind: 'retry' },
      { code: 'ERR_B', kind: undefined },
    ])
  })

  it('read the table below Errors and no other', () => {
    const readme =
      '## Options\n\n| `ERR_X` | a | b |\n\n## Errors\n\n| `ERR_A` | retry | w |\n| `ERR_B` | by cause | w |\n\n## Z\n\n| `ERR_Y` | a | b |\n'

    expect(codesDocumented(readme)).toEqual([
      { code: 'ERR_A', kind: 'retry' },
      { code: 'ERR_B', kind: undefined },
    ])
  })

  it('find links, headings and the first block of a language, code aside', () => {
    const text = '# A b, c\n\n[x](y.md#z) `[no](code)`\n\n```sh\n# no\n```\n\n```js\n1\n```\n\n## D-e\n'

    expect(linksOf(text)).toEqual(['y.md#z'])
    expect(anchorsOf(text)).toEqual(['a-b-c', 'd-e'])
    expect(sectionsOf(text)).toEqual(['D-e'])
    expect(firstBlock(text, 'js')).toBe('1\n')
  })

  it.each([
    ['console.log(a) // 1n: the lowest', '1n\n', []],
    ['console.log(a) // 1 2', '1 3\n', ['1 2']],
    ['console.log(a) // { a: 1, b: 2 }', '{\n  a: 1,\n  b: 2\n}\n', []],
    ['console.log(a) // first\nconsole.log(b) // second', 'second\nfirst\n', ['second']],
    ['console.log(a)', 'anything\n', []],
  ])('hold %j against %j', (source, output, unkept) => {
    expect(unkeptPromises(source, output)).toEqual(unkept)
  })
})
