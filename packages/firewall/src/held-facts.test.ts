import type { FirewallFact, PortFact } from '@net/driverapi'
import fc from 'fast-check'
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

it('counts links, which both ends may state', () => {
  const link: FirewallFact = { kind: 'link', protocol: 'tcp', from: '10.0.0.2', to: '10.0.0.3', port: 80 }

  expect(told({ add: [link, link] }, { remove: [link] }, { remove: [link] })).toEqual(['-0 +1', '-0 +0', '-1 +0'])
})

it('removes an open port that is not there without complaint, and it can be added after that', () => {
  expect(told({ remove: [open] }, { add: [open] }, { remove: [open] })).toEqual(['-0 +0', '-0 +1', '-1 +0'])
})

const ports: FirewallFact = { ...open, port: 8000, count: 100 }

it('covers open ranges that overlap with ones that do not', () => {
  const others: FirewallFact = { ...open, port: 8050, count: 100 }

  expect(
    told({ add: [ports] }, { add: [others] }, { add: [others, ports] }, { remove: [ports] }, { remove: [ports] }),
  ).toEqual(['-0 +1', '-1 +1', '-0 +0', '-0 +0', '-1 +1'])
})

const SIZE = 12
const addresses = [undefined, '192.0.2.1', '192.0.2.2'] as const
type RangeFact = PortFact & { readonly count: number }
const published = fc
  .record({
    hostAddress: fc.constantFrom(...addresses),
    first: fc.integer({ min: 1, max: SIZE }),
    last: fc.integer({ min: 1, max: SIZE }),
    isAdded: fc.boolean(),
  })
  .map(({ hostAddress, first, last, isAdded }) => ({
    isAdded,
    fact: {
      kind: 'port',
      protocol: 'tcp',
      hostAddress,
      hostPort: Math.min(first, last),
      containerAddress: '10.0.0.2',
      containerPort: 80,
      count: Math.abs(last - first) + 1,
    } satisfies RangeFact,
  }))

it('refuses what shares a port with what is published, as a list of all of them would', () => {
  const meet = (a: RangeFact, b: RangeFact): boolean => {
    const isSame = a.hostAddress === b.hostAddress
    const isPart = (a.count > 1 || b.count > 1) && (a.hostAddress === undefined || b.hostAddress === undefined)
    return (isSame || isPart) && a.hostPort < b.hostPort + b.count && b.hostPort < a.hostPort + a.count
  }
  fc.assert(
    fc.property(fc.array(published, { maxLength: 20 }), (steps) => {
      const held = new HeldFacts()
      let list: typeof steps = []
      for (const step of steps) {
        const change = step.isAdded ? { add: [step.fact] } : { remove: [step.fact] }
        if (step.isAdded && list.some(({ fact }) => meet(step.fact, fact))) {
          expect(() => held.difference(change)).toThrow(
            expect.objectContaining({ code: 'ERR_PORT_PUBLISHED' }) as Error,
          )
          continue
        }
        held.apply(held.difference(change))
        list = list.filter(({ fact }) => JSON.stringify(fact) !== JSON.stringify(step.fact))
        if (step.isAdded) list.push(step)
      }
      expect(held.all()).toHaveLength(list.length)
    }),
  )
})
