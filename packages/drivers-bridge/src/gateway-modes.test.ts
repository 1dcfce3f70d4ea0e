import { readFileSync, writeFileSync } from 'node:fs'
import {
  formatFact,
  formatNetworkPlan,
  type EndpointRecord,
  type FirewallFact,
  type NetworkPlan,
  type NetworkRecord,
} from '@net/driverapi'
import { isNetError } from '@net/types'
import { expect, it } from 'vitest'
import { bridgeDriver, type BridgeOptions } from './index.ts'

/**
 * What each choice of options comes to, in words, over all that they can be combined to. The file is meant to be
 * read; `UPDATE_GOLDEN=1` writes it anew.
 */
const golden = new URL('../test/fixtures/gateway-modes.txt', import.meta.url)

const driver = bridgeDriver()
const modes = ['nat', 'nat-unprotected', 'routed', 'isolated'] as const
const bindings = ['', '127.0.0.1', '2001:db8::1'] as const
const switches = [true, false] as const

interface Choice {
  readonly ipv4: string
  readonly ipv6: string
  readonly internal: boolean
  readonly icc: boolean
  readonly binding: string
}

function networkOf({ ipv4, ipv6, internal, icc, binding }: Choice): NetworkRecord<BridgeOptions> {
  const id = 'a'.repeat(64)
  const options = driver.checkNetwork({
    ...{ id, name: 'network1', internal, ipv4: true, ipv6: true, existing: [] },
    options: {
      'com.docker.network.bridge.name': 'br0',
      'com.docker.network.bridge.enable_icc': icc,
      'com.docker.network.bridge.gateway_mode_ipv4': ipv4,
      'com.docker.network.bridge.gateway_mode_ipv6': ipv6,
      ...(binding === '' ? {} : { 'com.docker.network.bridge.host_binding_ipv4': binding }),
    },
  })
  return {
    ...{ id, name: 'network1', driver: 'bridge', phase: 'ready', internal, labels: {}, options },
    ipv4: { poolId: '4', pool: '172.18.0.0/16', gateway: '172.18.0.1/16' },
    ipv6: { poolId: '6', pool: 'fd00::/64', gateway: 'fd00::1/64' },
  }
}

const endpoint: EndpointRecord<object> = {
  ...{ id: 'b'.repeat(64), networkId: 'a'.repeat(64), name: 'endpoint1', phase: 'ready', options: {} },
  ...{ macAddress: '02:42:ac:12:00:02', address: '172.18.0.2/16', address6: 'fd00::2/64' },
  ...{ aliases: [], ports: [], exposed: [] },
}

/** What publishing TCP port 80 at port 8080 of the host comes to. */
function publicationOf(network: NetworkRecord<BridgeOptions>): readonly FirewallFact[] {
  if (network.internal) return []
  const hostAddress = driver.hostAddressOf?.(network)
  return driver.planPorts(network, endpoint, [{ protocol: 'tcp', hostPort: 8080, containerPort: 80, hostAddress }])
}

const without = (text: string): string => text.replaceAll('firewall: ', '')

/** The parts of a plan that gateway modes decide. */
function linesOf(plan: NetworkPlan): string[] {
  const decided = /^(addr|forward|firewall|sysctl .*(route_localnet|disable_ipv6))/
  return formatNetworkPlan(plan)
    .split('\n')
    .filter((line) => decided.test(line))
    .map(without)
}

/** Options that are combined, each with what it comes to or why it is refused. */
function chapter(ipv4: string, ipv6: string): string[] {
  return switches.flatMap((internal) => {
    const title = `IPv4 ${ipv4}, IPv6 ${ipv6}${internal ? ', internal' : ''}`
    const plain = { ipv4, ipv6, internal, icc: true, binding: '' }
    const lines = saying(() => [
      ...linesOf(driver.planNetwork(networkOf(plain))),
      `without inter-container communication: ${driver
        .planNetwork(networkOf({ ...plain, icc: false }))
        .firewall.map(formatFact)
        .map(without)
        .join(', ')}`,
    ])
    const isRefused = lines[0]?.startsWith('refused') === true
    const published = internal || isRefused ? [] : bindings.flatMap((binding) => publication({ ...plain, binding }))
    return [title, ...lines.map((line) => `  ${line}`), ...published, '']
  })
}

function publication(choice: Choice): string[] {
  const at = choice.binding === '' ? '' : `, by default at ${choice.binding}`
  return [`  published${at}:`, ...saying(() => publicationOf(networkOf(choice)).map(formatFact)).map(indented)]
}

const indented = (line: string): string => `    ${without(line)}`

/** What `work` comes to, or why it is refused. */
function saying(work: () => string[]): string[] {
  try {
    return work()
  } catch (error) {
    if (isNetError(error, 'ERR_INVALID_OPTION')) return [`refused: ${error.message}`]
    throw error
  }
}

it('come to these plans and packet rules, over all combinations', () => {
  const text = modes.flatMap((ipv4) => modes.flatMap((ipv6) => chapter(ipv4, ipv6))).join('\n')

  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, text)
  expect(text).toBe(readFileSync(golden, 'utf8'))
})

it('publish ports alike, whether containers may speak with each other or not', () => {
  const published = (icc: boolean): string[] =>
    modes.flatMap((ipv4) =>
      modes.flatMap((ipv6) =>
        bindings.flatMap((binding) => publication({ ipv4, ipv6, internal: false, icc, binding })),
      ),
    )

  expect(published(false)).toEqual(published(true))
})
