import type { NftChain, NftExpression, NftRule } from '@net/netlink-ffi'

/** What becomes of packets that no rule of a chain is about in particular, and where that is decided. */
export interface Fate {
  readonly verdict: 'accept' | 'drop'
  /** Handle of the rule that decides; undefined where the chain's policy does. */
  readonly decidedBy: bigint | undefined
}

/** Where rules of a chain are had from, in their order. */
export type RulesOf = (chain: string) => readonly NftRule[]

/** What a rule does with every packet that comes to it; undefined where it is about some only, or lets them go on. */
type Step = 'accept' | 'drop' | 'return' | { readonly kind: 'jump' | 'goto'; readonly chain: string } | undefined

/** linux/netfilter/nf_tables.h: NFT_JUMP_STACK_SIZE. The kernel has no rules that lead further. */
const DEPTH = 16

/**
 * What becomes of packets that no rule is about in particular: the other firewall's answer to whatever it does not know.
 * Rules with a condition are passed over, those of every packet are followed to where they lead.
 */
export function fateOf(chain: NftChain, rulesOf: RulesOf): Fate {
  for (const rule of rulesOf(chain.name)) {
    const verdict = end(stepOf(rule), rulesOf, 0)
    if (verdict === 'accept' || verdict === 'drop') return { verdict, decidedBy: rule.handle }
    if (verdict === 'leave') break
  }
  return { verdict: chain.base?.policy ?? 'accept', decidedBy: undefined }
}

/** What following a step comes to: a verdict, the next rule, or the end of the chain that the rule is in. */
function end(step: Step, rulesOf: RulesOf, depth: number): 'accept' | 'drop' | 'go on' | 'leave' {
  if (step === undefined) return 'go on'
  if (step === 'return') return 'leave'
  if (typeof step === 'string') return step
  const verdict = depth < DEPTH ? endOf(step.chain, rulesOf, depth + 1) : undefined
  return verdict ?? (step.kind === 'goto' ? 'leave' : 'go on')
}

function endOf(chain: string, rulesOf: RulesOf, depth: number): 'accept' | 'drop' | undefined {
  for (const rule of rulesOf(chain)) {
    const verdict = end(stepOf(rule), rulesOf, depth)
    if (verdict === 'leave') return undefined
    if (verdict !== 'go on') return verdict
  }
  return undefined
}

/** Extensions of xtables that end a packet's way. */
const BLOCKING_TARGETS = ['REJECT', 'DROP', 'TARPIT']
/** Matches of xtables that every packet passes. */
const NEUTRAL_MATCHES = ['comment']

function stepOf({ expressions }: NftRule): Step {
  let step: Step
  for (const expression of expressions) {
    // What is not known here may ask something of the packet.
    if (expression === undefined || asks(expression)) return undefined
    step ??= verdictOf(expression)
  }
  return step
}

function asks(expression: NftExpression): boolean {
  if (expression.name === 'match') return !NEUTRAL_MATCHES.includes(expression.data.name ?? '')
  return expression.name === 'cmp' || expression.name === 'lookup'
}

function verdictOf(expression: NftExpression): Step {
  if (expression.name === 'reject') return 'drop'
  if (expression.name === 'target') return BLOCKING_TARGETS.includes(expression.data.name ?? '') ? 'drop' : undefined
  const verdict = expression.name === 'immediate' ? expression.data.data?.verdict : undefined
  if (verdict === undefined || verdict === 'continue') return undefined
  if (verdict === 'accept' || verdict === 'drop' || verdict === 'return') return verdict
  const [kind, chain = ''] = verdict.split(' ')
  return { kind: kind === 'goto' ? 'goto' : 'jump', chain }
}
