import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { anchorsOf, firstBlock, linksOf, sectionsOf } from './documents.ts'
import { examplesOf, filesBelow, packages, read, root } from './workspace.ts'

const documents = filesBelow(root).filter((path) => path.endsWith('.md'))
const order = ['Use', 'How it works', 'Options', 'Errors', 'Testing against it', 'Unlike libnetwork']

describe.each(packages.map((entry) => [entry.name, entry] as const))('README of %s', (_name, entry) => {
  const readme = read(entry.folder, 'README.md')

  it('shows one of its examples, word for word', () => {
    const shown = firstBlock(readme, 'js')

    expect(examplesOf(entry).map((path) => read(entry.folder, path))).toContain(shown)
  })

  it('has its sections, in their order', () => {
    expect(sectionsOf(readme)).toEqual(order)
  })
})

describe('README of the repository', () => {
  it('shows an example of libnetwork, word for word', () => {
    const libnetwork = packages.filter(({ name }) => name === 'libnetwork')
    const examples = libnetwork.flatMap((entry) => examplesOf(entry).map((path) => read(entry.folder, path)))

    expect(examples).toContain(firstBlock(read(root, 'README.md'), 'js'))
  })

  it('has a row for every package', () => {
    const text = read(root, 'README.md')

    expect(
      packages.filter(({ name }) => !text.includes(`](packages/${name}/README.md)`)).map(({ name }) => name),
    ).toEqual([])
  })
})

describe.each(documents)('%s', (document) => {
  it('links to files and headings that are there', () => {
    const text = read(root, document)
    const own = linksOf(text).filter((target) => !/^[a-z]+:/.test(target))

    expect(own.filter((target) => !leadsSomewhere(document, text, target))).toEqual([])
  })
})

function leadsSomewhere(document: string, text: string, target: string): boolean {
  const [path = '', anchor] = target.split('#')
  const file = join(root, dirname(document), path)
  if (path !== '' && !existsSync(file)) return false
  return anchor === undefined || anchorsOf(path === '' ? text : read(file)).includes(anchor)
}
