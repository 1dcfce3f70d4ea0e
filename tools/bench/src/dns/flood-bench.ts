import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Sandbox } from '@net/libnetwork'
import type { Measurement } from '../measure.ts'
import type { Subject } from '../subject.ts'
import { ask, type Load } from './dnsperf.ts'
import { bareServer, ownServer } from './responders.ts'

const SECONDS = 4
const UNKNOWN_NAMES = 100_000
/** Questions of the quiet asker: one at a time. */
const QUIET = { clients: 1, outstanding: 1, perSecond: 250, isUrgent: true }

/** How late the answers of one sandbox are while another asks as much as it can, and while it does not. */
export async function measureBesideFlood({ controller, networkId: network }: Subject): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'net-bench-flood-'))
  const attach = async (name: string, servers?: readonly string[]): Promise<Sandbox> => {
    const sandbox = { containerId: name, dns: servers && { servers } }
    return (await controller.attach({ network, endpoint: { name }, sandbox })).sandbox
  }
  try {
    const quiet = await attach('quiet')
    const flooding = await attach('flooding', ['127.0.0.1'])
    const server = await bareServer(flooding, folder, 53)
    const known: Load = { ...ownServer(), questions: ['quiet A'], seconds: SECONDS }
    const unknown = Array.from({ length: UNKNOWN_NAMES }, (_, at) => `${at}.example A`)
    const p99 = async (flood?: Load): Promise<number> => {
      const flooded = flood && ask(flooding, folder, { ...flood, seconds: SECONDS + 1 })
      const { p99Ms = Number.NaN } = await ask(quiet, folder, { ...known, ...QUIET }, { withLatency: true })
      await flooded
      return p99Ms
    }
    const alone = await p99()
    const besideUdp = await p99(known)
    const besideTcp = await p99({ ...known, tcp: true })
    const besideUnknown = server === undefined ? Number.NaN : await p99({ ...known, questions: unknown })
    await server?.close()
    const note = `beside TCP: ${besideTcp.toFixed(2)} ms, beside unknown names: ${besideUnknown.toFixed(2)} ms`
    return [{ name: 'dns-beside-flood', unit: 'ms', ours: besideUdp, peers: { 'nobody floods': alone }, note }]
  } finally {
    rmSync(folder, { recursive: true })
  }
}
