import type { RuleChange } from '@net/netlink-ffi'

/** So many are named; of more it is said how many. */
const NAMED = 4

/** Changes in words, those of most consequence first: `table deleted, 2 elements of ports4 deleted`. */
export function describeChanges(changes: readonly RuleChange[]): string {
  const gone = changes.find(({ kind, subject }) => kind === 'deleted' && subject === 'table')
  // All else went with it.
  if (gone !== undefined) return describeChange(gone)
  const named = changes.slice(0, NAMED).map(describeChange)
  const rest = changes.length - named.length
  return [...named, ...(rest > 0 ? [`${rest} more changes`] : [])].join(', ')
}

function describeChange({ kind, subject, name, count }: RuleChange): string {
  const things = count === 1 ? subject : `${count} ${subject}s`
  if (subject === 'table') return `${things} ${kind === 'added' ? 'changed' : kind}`
  const where = subject === 'rule' || subject === 'element' ? `${things} of ${name}` : `${subject} ${name}`
  return `${where} ${kind}`
}
