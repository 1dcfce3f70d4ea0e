import type { RuleChange } from '@net/netlink-ffi'
import { expect, it } from 'vitest'
import { describeChanges } from './describe-changes.ts'

const change = (kind: RuleChange['kind'], subject: RuleChange['subject'], name: string, count = 1): RuleChange => ({
  ...{ kind, subject, name, count },
  table: { family: 'inet', name: 'net' },
})

it.each([
  ['table deleted', [change('deleted', 'rule', 'forward', 9), change('deleted', 'table', '')]],
  ['table changed', [change('added', 'table', '')]],
  ['element of ports4 deleted', [change('deleted', 'element', 'ports4')]],
  [
    '3 rules of forward deleted, chain policies deleted, element of bridges added',
    [
      change('deleted', 'rule', 'forward', 3),
      change('deleted', 'chain', 'policies'),
      change('added', 'element', 'bridges'),
    ],
  ],
  [
    'element of a added, element of b added, element of c added, element of d added, 2 more changes',
    ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => change('added', 'element', name)),
  ],
])('says: %s', (text, changes) => {
  expect(describeChanges(changes)).toBe(text)
})
