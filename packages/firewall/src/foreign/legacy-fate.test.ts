import type { XtablesRule, XtablesTarget } from '@net/netlink-ffi'
import { expect, it } from 'vitest'
import { legacyFateOf } from './legacy-fate.ts'

const [accept, drop, back] = (['accept', 'drop', 'return'] as const).map((kind) => ({ kind })) as [
  XtablesTarget,
  XtablesTarget,
  XtablesTarget,
]
const extension = (name: string): XtablesTarget => ({ kind: 'extension', name })
const to = (kind: 'jump' | 'goto', offset: number): XtablesTarget => ({ kind, offset })

/** Rules of FORWARD, the last of which is its policy, and behind them those of another chain, from 100 on. */
function fate(forward: readonly XtablesTarget[], other: readonly XtablesTarget[] = []): string {
  const rule =
    (start: number) =>
    (target: XtablesTarget, at: number): XtablesRule => ({ offset: start + at, isForAll: true, target })
  const rules = [...forward.map(rule(0)), ...other.map(rule(100))]
  return legacyFateOf({ rules, forward: 0, policy: forward.length - 1 })
}

it.each<[string, string, XtablesTarget[], XtablesTarget[]]>([
  ['the policy', 'drop', [drop], []],
  ['a rule', 'drop', [extension('LOG'), extension('REJECT'), accept], []],
  ['an early accept', 'accept', [accept, drop, drop], []],
  ['a chain that drops', 'drop', [to('jump', 100), accept], [drop]],
  ['a chain that comes back', 'drop', [to('jump', 100), drop, accept], [back, accept]],
  ['a return, and so the policy', 'drop', [back, accept, drop], []],
  ['a chain that does not come back, and so the policy', 'drop', [to('goto', 100), accept, drop], [back]],
  ['nothing, where rules go round in a circle', 'accept', [to('jump', 0), accept], []],
])('is decided by %s: %s', (_, expected, forward, other) => {
  expect(fate(forward, other)).toBe(expected)
})

it('passes over rules that are about some packets only', () => {
  const rules: XtablesRule[] = [
    { offset: 0, isForAll: false, target: drop },
    { offset: 1, isForAll: true, target: accept },
  ]
  expect(legacyFateOf({ rules, forward: 0, policy: 1 })).toBe('accept')
})
