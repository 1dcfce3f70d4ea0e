import type { ResolverStatistics } from '@net/resolver'
import type { Core } from '../core.ts'
import { formatMetrics, type MetricFamily, type Sample } from './open-metrics.ts'

/** What is told, and how finely. */
export interface MetricsOptions {
  /**
   * What resolvers did, of each sandbox that is there by itself, under the label `container`: as many lines as there
   * are sandboxes, and those that are gone are not in it. @defaultValue false: the sum, of those that are gone too
   */
  readonly bySandbox?: boolean | undefined
}

/** The numbers of a controller, as the text of OpenMetrics. */
export function metricsOf(core: Core, { bySandbox = false }: MetricsOptions): string {
  return formatMetrics([...stateFamilies(core), ...meterFamilies(core), ...resolverFamilies(core, bySandbox)])
}

function stateFamilies({ state, underWay }: Core): MetricFamily[] {
  const gauge = (name: string, help: string, value: number): MetricFamily => ({
    ...{ name: `net_libnetwork_${name}`, type: 'gauge', help, samples: [{ value }] },
  })
  let ports = 0
  for (const entry of state.endpoints.values()) {
    for (const { port } of entry.ports.values()) ports += port.count ?? 1
  }
  return [
    gauge('networks', 'Networks that are there.', state.networks.size),
    gauge('endpoints', 'Endpoints that are there.', state.endpoints.size),
    gauge('sandboxes', 'Sandboxes that are there.', state.sandboxes.size),
    gauge('published_ports', 'Host ports that are published.', ports),
    gauge('operations', 'Operations under way.', underWay),
  ]
}

function meterFamilies({ meters }: Core): MetricFamily[] {
  const seconds = { type: 'histogram', unit: 'seconds' } as const
  return [
    {
      ...{ ...seconds, name: 'net_libnetwork_attach_seconds', help: 'How long attaching a container took.' },
      samples: meters.attach.samples(),
    },
    {
      ...{ ...seconds, name: 'net_libnetwork_detach_seconds', help: 'How long deleting a sandbox took.' },
      samples: meters.detach.samples(),
    },
    {
      ...{ name: 'net_libnetwork_events', type: 'counter', help: 'What happened without our doing, by kind.' },
      samples: totals(meters.events, 'kind'),
    },
    {
      ...{ name: 'net_libnetwork_drift', type: 'counter', help: 'Changes of links by others, by what became of them.' },
      samples: totals(meters.drift, 'outcome'),
    },
  ]
}

function totals(counts: ReadonlyMap<string, number>, label: string): Sample[] {
  return Array.from(counts, ([key, value]) => ({ suffix: '_total', labels: { [label]: key }, value }))
}

/** Statistics, and whose they are. */
interface Labelled {
  readonly labels: Readonly<Record<string, string>>
  readonly statistics: ResolverStatistics
}

function resolverFamilies(core: Core, bySandbox: boolean): MetricFamily[] {
  const living = [...core.state.sandboxes.values()].flatMap(({ record, naming }): Labelled[] => {
    const statistics = naming.statistics()
    return statistics === undefined ? [] : [{ labels: { container: record.containerId }, statistics }]
  })
  const sum = { labels: {}, statistics: core.naming.past.with(living.map(({ statistics }) => statistics)) }
  const all = bySandbox ? living : [sum]
  const counter = (name: string, help: string, value: (statistics: ResolverStatistics) => number): MetricFamily => ({
    ...{ name: `net_resolver_${name}`, type: 'counter', help },
    samples: all.map(({ labels, statistics }) => ({ suffix: '_total', labels, value: value(statistics) })),
  })
  return [
    counter('questions', 'Questions that came.', ({ questions }) => questions),
    {
      ...{ name: 'net_resolver_answers', type: 'counter', help: 'Answers given, by code.' },
      samples: all.flatMap(({ labels, statistics }) =>
        Object.entries(statistics.answers).map(([code, value]): Sample => {
          return { suffix: '_total', labels: { ...labels, code }, value }
        }),
      ),
    },
    counter('ready', 'Answers that were sent as they had been encoded before.', ({ ready }) => ready),
    counter('cached', 'Questions for other servers whose answer was kept from before.', ({ cached }) => cached),
    counter('joined', 'Questions for other servers that joined the same one under way.', ({ joined }) => joined),
    counter('forwarded', 'Questions that other servers were asked.', ({ forwarded }) => forwarded),
    {
      ...counter('forward_seconds', 'Time that asking other servers took.', ({ forwardMs }) => forwardMs / 1_000),
      unit: 'seconds',
    },
  ]
}
