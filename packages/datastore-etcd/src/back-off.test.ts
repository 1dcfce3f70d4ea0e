import { expect, it } from 'vitest'
import { backOffMs } from './back-off.ts'

it.each([
  [0, 50],
  [1, 50],
  [2, 100],
  [3, 200],
  [6, 1600],
  [7, 2000],
  [1000, 2000],
])('waits after %d failures for %d ms at most, and half of it at least', (failures, longest) => {
  expect(backOffMs(failures, () => 1)).toBe(longest)
  expect(backOffMs(failures, () => 0)).toBe(longest / 2)
})
