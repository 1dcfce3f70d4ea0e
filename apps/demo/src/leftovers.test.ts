import { expect, it } from 'vitest'
import { leftoversOf } from './leftovers.ts'

it('names what came and did not go', () => {
  expect(leftoversOf(['link lo (1)'], ['link lo (1)', 'link br-1 (2)'])).toEqual(['link br-1 (2)'])
})

it('does not mind what went', () => {
  expect(leftoversOf(['link lo (1)', 'link eth7 (2)'], ['link lo (1)'])).toEqual([])
})
