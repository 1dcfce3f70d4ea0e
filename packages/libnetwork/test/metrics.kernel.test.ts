import { spawnSync } from 'node:child_process'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller, type Network } from '../src/index.ts'
import { attachWithRange, expectNothingLeft, outputOf, traces, type Traces } from './lab.ts'
import { readMetrics } from './strict-metrics.ts'

await enterFreshHost()

let before: Traces
let net: Controller
let network: Network

beforeEach(async () => {
  before = traces()
  net = await openController()
  network = await net.createNetwork({ name: 'blue' })
})
afterEach(() => expectNothingLeft(net, before))

/** A number of the controller's, by its family and what comes behind. */
function metric(family: string, key = '', options: { bySandbox?: boolean } = {}): number | undefined {
  return readMetrics(net.metrics(options)).get(family)?.samples.get(key)
}

const attach = (name: string) => attachWithRange(net, network, name)

describeKernel('the metrics of a controller', () => {
  it('count what is there, and how long it took', async () => {
    const web = await attach('web')
    const db = await attach('db')
    await db.detach()

    expect(metric('net_libnetwork_networks')).toBe(1)
    expect(metric('net_libnetwork_endpoints')).toBe(1)
    expect(metric('net_libnetwork_sandboxes')).toBe(1)
    expect(metric('net_libnetwork_published_ports')).toBe(101)
    expect(metric('net_libnetwork_attach_seconds', '_count')).toBe(2)
    expect(metric('net_libnetwork_detach_seconds', '_count')).toBe(1)
    expect(metric('net_libnetwork_attach_seconds', '_sum')).toBeGreaterThan(0)
    await web.detach()
  })

  it('count what resolvers did, together or each, and keep what those did that are gone', async () => {
    const web = await attach('web')
    await attach('db')
    await outputOf(web.sandbox, 'getent', ['ahostsv4', 'db.blue'])
    const asked = metric('net_resolver_questions', '_total') ?? 0

    expect(asked).toBeGreaterThan(0)
    expect(metric('net_resolver_questions', '_total{container="web"}', { bySandbox: true })).toBe(asked)
    expect(metric('net_resolver_questions', '_total{container="db"}', { bySandbox: true })).toBe(0)
    expect(net.metrics()).not.toContain('container=')
    await web.detach()
    expect(metric('net_resolver_questions', '_total')).toBe(asked)
  })

  it('count events, and what became of drift', async () => {
    const { bridge } = network.options as { bridge: string }
    const events = net.events()[Symbol.asyncIterator]()
    spawnSync('ip', ['link', 'set', bridge, 'down'])
    expect((await events.next()).value).toMatchObject({ kind: 'drift', outcome: 'repaired' })

    expect(metric('net_libnetwork_events', '_total{kind="drift"}')).toBe(1)
    expect(metric('net_libnetwork_drift', '_total{outcome="repaired"}')).toBe(1)
  })
})
