import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeName, isDomainName } from './domain-name.ts'

const character = fc.constantFrom('a', 'Z', '0', '-', '_', '.', '\\', ' ', 'é', '\n', '\0')
const label = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 66 }).map((length) => 'a'.repeat(length)) },
  { weight: 1, arbitrary: fc.array(character, { maxLength: 6 }).map((characters) => characters.join('')) },
)
const name = fc.array(label, { maxLength: 6 }).map((labels) => labels.join('.'))

it('a text can be a name just where it can be written as one that is not the root', () => {
  fc.assert(
    fc.property(name, (text) => {
      let length = 0
      try {
        length = encodeName(text).length
      } catch {
        // It cannot be written.
      }
      expect(isDomainName(text)).toBe(length > 1)
    }),
    { numRuns: 2_000 },
  )
})
