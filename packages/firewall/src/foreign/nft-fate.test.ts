import { nftExpression, type NftChain, type NftExpression, type NftRule } from '@net/netlink-ffi'
import { expect, it } from 'vitest'
import { fateOf } from './nft-fate.ts'

const { cmp, counter, meta, verdict } = nftExpression
const table = { family: 'inet', name: 't' } as const
const fromEth0 = [meta('iifname'), cmp('eq', new Uint8Array(16))]
const reject: NftExpression = { name: 'reject', data: {} }
const log: NftExpression = { name: 'log', data: {} }
const match = (name: string): NftExpression => ({ name: 'match', data: { name } })
const target = (name: string): NftExpression => ({ name: 'target', data: { name } })

type Rules = Readonly<Record<string, readonly (readonly (NftExpression | undefined)[])[]>>

function fate(policy: 'accept' | 'drop', chains: Rules): string {
  const base: NftChain['base'] = { type: 'filter', hook: 'forward', priority: 0, policy }
  const rulesOf = (name: string): NftRule[] =>
    (chains[name] ?? []).map((expressions, at) => ({
      ...{ chain: { table, name }, handle: BigInt(at), expressions },
      ...{ comment: undefined, userdata: undefined },
    }))
  const found = fateOf({ table, name: 'forward', handle: 0n, base, comment: undefined }, rulesOf)
  return `${found.verdict} by ${found.decidedBy === undefined ? 'policy' : `rule ${found.decidedBy}`}`
}

it.each<[string, 'accept' | 'drop', string, Rules]>([
  ['an empty chain', 'drop', 'drop by policy', {}],
  ['rules with conditions', 'accept', 'accept by policy', { forward: [[...fromEth0, verdict('drop')]] }],
  ['a rule for all', 'accept', 'drop by rule 1', { forward: [[counter()], [counter(), verdict('drop')]] }],
  ['a reject', 'accept', 'drop by rule 0', { forward: [[log, reject]] }],
  ['an extension that rejects', 'accept', 'drop by rule 0', { forward: [[match('comment'), target('REJECT')]] }],
  ['an extension that does not', 'accept', 'accept by policy', { forward: [[target('LOG')]] }],
  ['an extension that asks', 'accept', 'accept by policy', { forward: [[match('tcp'), verdict('drop')]] }],
  ['what is not known here', 'accept', 'accept by policy', { forward: [[undefined, verdict('drop')]] }],
  ['an early accept', 'drop', 'accept by rule 0', { forward: [[verdict('accept')], [verdict('drop')]] }],
  ['a chain that drops', 'accept', 'drop by rule 0', { forward: [[verdict('jump a')]], a: [[verdict('drop')]] }],
  [
    'a chain that comes back',
    'accept',
    'drop by rule 1',
    { forward: [[verdict('jump a')], [verdict('drop')]], a: [[verdict('return')], [verdict('accept')]] },
  ],
  ['a chain that does not', 'accept', 'accept by policy', { forward: [[verdict('goto a')], [verdict('drop')]] }],
  ['a return', 'drop', 'drop by policy', { forward: [[verdict('return')], [verdict('accept')]] }],
  ['a circle, which no kernel takes', 'drop', 'drop by policy', { forward: [[verdict('jump forward')]] }],
])('%s, policy %s: %s', (_, policy, expected, chains) => {
  expect(fate(policy, chains)).toBe(expected)
})
