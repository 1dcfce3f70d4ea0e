import { linesOfNetwork, linesOfPlace } from '../wanted-lines.ts'
import type { Workload } from './workload.ts'

/** What the host is to hold, by what the workload was told: the lines of `hostView`. */
export function wantedView({ networks, containers }: Workload): string[] {
  return [
    ...[...networks].flatMap(({ network }) => linesOfNetwork(network)),
    ...[...containers].flatMap(({ sandbox: { key }, places }) => [
      `namespace ${key}`,
      ...[...places].flatMap(({ on: { network }, endpoint, ports }) => linesOfPlace({ key, network, endpoint, ports })),
    ]),
  ].sort()
}
