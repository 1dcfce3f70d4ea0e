import type { ResolverStatistics } from '@net/resolver'

/** What resolvers did that are no more: totals never go back. */
export class ResolverTotals {
  #total: ResolverStatistics = { questions: 0, answers: {}, ready: 0, cached: 0, joined: 0, forwarded: 0, forwardMs: 0 }

  /** Counts what a resolver did, once it is closed. */
  add(statistics: ResolverStatistics): void {
    this.#total = sum(this.#total, statistics)
  }

  /** Together with what those did that are there. */
  with(living: readonly ResolverStatistics[]): ResolverStatistics {
    return living.reduce(sum, this.#total)
  }
}

function sum(one: ResolverStatistics, other: ResolverStatistics): ResolverStatistics {
  const answers: Record<string, number> = { ...one.answers }
  for (const [code, count] of Object.entries(other.answers)) answers[code] = (answers[code] ?? 0) + count
  return {
    questions: one.questions + other.questions,
    answers,
    ready: one.ready + other.ready,
    cached: one.cached + other.cached,
    joined: one.joined + other.joined,
    forwarded: one.forwarded + other.forwarded,
    forwardMs: one.forwardMs + other.forwardMs,
  }
}
