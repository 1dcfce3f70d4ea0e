import { readFileSync, writeFileSync } from 'node:fs'
import type { FirewallFact, Inbound } from '@net/driverapi'
import { expect, it } from 'vitest'
import { transcript } from '../test/transcript.ts'
import { checkFact } from './fact.ts'
import { rulesOf } from './iptables/rules.ts'

/*
 * The rules over all that can be chosen about a network, for people to read. Not among the choices is what changes no
 * rule: whether there is a userland proxy, and whether frames on bridges pass the rules at all. Who gets through with
 * each, packets tell: packages/libnetwork/test/reach-matrix.kernel.test.ts. `UPDATE_GOLDEN=1` writes the files anew.
 */

interface Choice {
  readonly inbound: Inbound
  readonly interContainer: boolean
  readonly internal: boolean
}

const matrix: readonly Choice[] = (['published', 'routed', 'all'] as const).flatMap((inbound) =>
  [true, false].flatMap((interContainer) => [false, true].map((internal) => ({ inbound, interContainer, internal }))),
)

/** Where ports are published, beside every address of the host. */
const bindings = ['127.0.0.1', '2001:db8::1'] as const

function factsOf({ inbound, internal, interContainer }: Choice, binding?: string): FirewallFact[] {
  const isReached = (address: string): boolean =>
    binding === undefined || binding.includes(':') === address.includes(':')
  return [
    {
      ...{ kind: 'network', bridge: 'br0', internal, interContainer, inbound: { ipv4: inbound, ipv6: inbound } },
      masquerade: internal || inbound === 'routed' ? [] : [4, 6],
      sources: inbound === 'all' ? { ipv4: '192.0.2.1' } : {},
      trusted: inbound === 'published' ? ['eth1'] : [],
      prefixes: { ipv4: '10.0.0.0/24', ipv6: 'fd00::/64' },
    },
    ...['10.0.0.2', 'fd00::2'].filter(isReached).map((containerAddress) => ({
      ...({ kind: 'port', protocol: 'tcp', hostPort: 8080, containerPort: 80 } as const),
      ...{ hostAddress: binding, containerAddress },
    })),
    { kind: 'open-port', protocol: 'udp', address: '10.0.0.2', port: 53 },
    { kind: 'link', protocol: 'tcp', from: '10.0.0.3', to: '10.0.0.2', port: 5432 },
    ...(interContainer ? [] : [{ kind: 'forwarding', family: 4 } as const]),
  ]
}

/** The rules of each choice, and what of them is different where ports are published at one address. */
function chapter(choice: Choice, linesOf: (facts: readonly FirewallFact[]) => string[]): string {
  const lines = linesOf(factsOf(choice))
  const title = `${choice.inbound}${choice.interContainer ? '' : ', no icc'}${choice.internal ? ', internal' : ''}`
  const differences = bindings.flatMap((binding) => {
    const others = linesOf(factsOf(choice, binding))
    return [
      `at ${binding}:`,
      ...lines.filter((line) => !others.includes(line)).map((line) => `- ${line}`),
      ...others.filter((line) => !lines.includes(line)).map((line) => `+ ${line}`),
    ]
  })
  return [`# ${title}`, ...lines, ...differences, ''].join('\n')
}

function iptablesRules(facts: readonly FirewallFact[]): string[] {
  const checked = facts.map((fact) => checkFact(fact))
  return ([4, 6] as const).flatMap((family) =>
    Object.entries(rulesOf(checked, family, 'NET')).flatMap(([table, chains]) =>
      [...chains].flatMap(([chain, rules]) => rules.map((rule) => `IPv${family} ${table} ${chain} ${rule}`)),
    ),
  )
}

it.each([
  [
    'elements of the nftables table',
    'elements.txt',
    (facts: readonly FirewallFact[]) => transcript(...facts).split('\n'),
  ],
  ['rules of iptables', 'iptables-rules.txt', iptablesRules],
])('are these %s, over the whole matrix', (_, file, linesOf) => {
  const golden = new URL(`../test/fixtures/${file}`, import.meta.url)
  const text = matrix.map((choice) => chapter(choice, linesOf)).join('\n')

  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, text)
  expect(text).toBe(readFileSync(golden, 'utf8'))
})
