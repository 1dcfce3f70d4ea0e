import { readFileSync, writeFileSync } from 'node:fs'
import type { FirewallFact, Inbound } from '@net/driverapi'
import { expect, it } from 'vitest'
import { checkFact } from '../fact.ts'
import { rulesOf } from './rules.ts'

/** The rules over the choices of a network. `UPDATE_GOLDEN=1` writes them anew. */
const golden = new URL('../../test/fixtures/iptables-rules.txt', import.meta.url)

const matrix = (['published', 'routed', 'all'] as const).flatMap((inbound) =>
  [true, false].flatMap((interContainer) => [false, true].map((internal) => ({ inbound, interContainer, internal }))),
)

function factsOf(choice: { inbound: Inbound; interContainer: boolean; internal: boolean }): FirewallFact[] {
  const { inbound, internal, interContainer } = choice
  return [
    {
      ...{ kind: 'network', bridge: 'br0', internal, interContainer, inbound: { ipv4: inbound, ipv6: inbound } },
      masquerade: internal || inbound === 'routed' ? [] : [4, 6],
      sources: inbound === 'all' ? { ipv4: '192.0.2.1' } : {},
      trusted: inbound === 'published' ? ['eth1'] : [],
      prefixes: { ipv4: '10.0.0.0/24', ipv6: 'fd00::/64' },
    },
    ...(['10.0.0.2', 'fd00::2'] as const).map((containerAddress) => ({
      ...({ kind: 'port', protocol: 'tcp', hostPort: 8080, containerPort: 80 } as const),
      containerAddress,
    })),
    { kind: 'open-port', protocol: 'udp', address: '10.0.0.2', port: 53 },
    { kind: 'link', protocol: 'tcp', from: '10.0.0.3', to: '10.0.0.2', port: 5432 },
    ...(interContainer ? [] : [{ kind: 'forwarding', family: 4 } as const]),
  ]
}

it('are as the golden file has them, over the whole matrix', () => {
  const blocks = matrix.flatMap((choice) => {
    const facts = factsOf(choice).map((fact) => checkFact(fact))
    const title = `${choice.inbound}${choice.interContainer ? '' : ', no icc'}${choice.internal ? ', internal' : ''}`
    return ([4, 6] as const).map((family) => {
      const tables = Object.entries(rulesOf(facts, family, 'NET')).flatMap(([table, chains]) =>
        [...chains].flatMap(([chain, rules]) => rules.map((rule) => `${table} ${chain} ${rule}`)),
      )
      return [`# ${title}, IPv${family}`, ...tables, ''].join('\n')
    })
  })

  const text = blocks.join('\n')
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, text)
  expect(text).toBe(readFileSync(golden, 'utf8'))
})
