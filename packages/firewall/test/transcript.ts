import type { FirewallFact } from '@net/driverapi'
import { elementsOf } from '../src/elements.ts'
import { checkFact } from '../src/fact.ts'

/** The elements of facts, one a line, as nft would write them. */
export function transcript(...facts: readonly FirewallFact[]): string {
  return facts
    .flatMap((fact) => elementsOf(checkFact(fact)))
    .map(({ set, key, keyEnd = [], data }) => {
      const parts = key.map((part, at) => `${part}${(keyEnd[at] ?? part) === part ? '' : `-${keyEnd[at]!}`}`)
      const value = data === undefined ? '' : ` : ${Array.isArray(data) ? data.join(' . ') : String(data)}`
      return `${set} { ${parts.map((part) => (part === '' ? '""' : part)).join(' . ')}${value} }`
    })
    .join('\n')
}
