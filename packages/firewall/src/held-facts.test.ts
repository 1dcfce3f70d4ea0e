import type { FirewallFact } from '@net/driverapi'
import { expect, it } from 'vitest'
import { HeldFacts } from './held-facts.ts'

const open: FirewallFact = { kind: 'open-port', protocol: 'tcp', address: '10.0.0.2', port: 80 }

/** What the kernel is told of each change, one after another: how many facts go and come. */
function told(...changes: readonly { add?: FirewallFact[]; remove?: FirewallFact[] }[]): string[] {
  const held = new HeldFacts()
  return changes.map((change) => {
    const difference = held.difference(change)
    held.apply(difference)
    return `-${difference.removed.length} +${difference.added.length}`
  })
}

it('takes an open port as often as it is stated, and tells the kernel once', () => {
  expect(told({ add: [open, open] }, { add: [open] }, { remove: [open] }, { remove: [open, open] })).toEqual([
    '-0 +1',
    '-0 +0',
    '-0 +0',
    '-1 +0',
  ])
})

it('leaves an open port alone that is removed and added in one change', () => {
  expect(told({ add: [open] }, { remove: [open], add: [open] }, { remove: [open] })).toEqual([
    '-0 +1',
    '-0 +0',
    '-1 +0',
  ])
})

it('removes an open port that is not there without complaint, and it can be added after that', () => {
  expect(told({ remove: [open] }, { add: [open] }, { remove: [open] })).toEqual(['-0 +0', '-0 +1', '-1 +0'])
})
