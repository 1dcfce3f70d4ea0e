import { join } from 'node:path'
import { expect, it } from 'vitest'
import { filesBelow, read, root } from './workspace.ts'

/** What a text of this repository does not say, and why. */
const forbidden = [
  { what: 'a path of the machine it was written on', pattern: /(?<![\w.-])\/(work|home\/[a-z]+|Users\/\w+)\// },
  { what: 'a host of a package registry', pattern: /\bregistry\.[a-z0-9-]+\.[a-z]{2,}|\bnpm\.pkg\.[a-z]+/ },
] as const

const texts = filesBelow(root).filter((path) => path !== 'pnpm-lock.yaml' && !/\.(png|gz|bin|pcap)$/.test(path))

it.each(forbidden)('no file names $what', ({ pattern }) => {
  const found = texts.filter((path) => pattern.test(read(join(root, path))))

  expect(found).toEqual([])
})
