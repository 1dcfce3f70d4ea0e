import { defaultIpam } from '@net/ipam'
import type { IpamDriver } from '@net/ipamapi'
import { collectGarbage, median, type Measurement } from '../measure.ts'

const OPERATIONS = 5_000
const ROUNDS = 5
const addressSpace = 'LocalDefault'
/** How full 10.0.0.0/8 is when it is measured: with so many addresses at random places, or with all but so many. */
export const fills = ['empty', 'million-held', 'half-full', 'all-but-full'] as const
const ALL = 2 ** 24
const HELD = { empty: 0, 'million-held': 1_000_000, 'half-full': ALL / 2, 'all-but-full': ALL - 2 - 2 * OPERATIONS }
/** Requests that are made at once to fill it. */
const TOGETHER = 10_000

/** Requests and releases in a /8, in memory: at random places, in order, and in a circle. */
export async function measureIpam(): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  await warmUp()
  for (const fill of fills) {
    const ipam = defaultIpam()
    const { id } = await ipam.requestPool({ addressSpace, pool: '10.0.0.0/8' })
    await hold(ipam, id, HELD[fill], fill === 'all-but-full')
    for (const serial of [false, true]) measurements.push(...(await measurePair(ipam, id, fill, serial)))
  }
  return measurements
}

/** The first fill is measured with code that is compiled, as the others are. */
async function warmUp(): Promise<void> {
  const ipam = defaultIpam()
  const { id } = await ipam.requestPool({ addressSpace, pool: '10.0.0.0/8' })
  for (const serial of [false, true]) await measurePair(ipam, id, 'empty', serial)
}

async function measurePair(ipam: IpamDriver, id: string, fill: string, serial: boolean): Promise<Measurement[]> {
  const requests: number[] = []
  const releases: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    collectGarbage()
    const taken: string[] = []
    const start = performance.now()
    for (let at = 0; at < OPERATIONS; at++) taken.push((await ipam.requestAddress(id, { serial })).address)
    const middle = performance.now()
    for (const address of taken) await ipam.releaseAddress(id, address.slice(0, -2))
    const end = performance.now()
    requests.push(((middle - start) * 1000) / OPERATIONS)
    releases.push(((end - middle) * 1000) / OPERATIONS)
  }
  const name = `ipam-${fill}${serial ? '-serial' : ''}`
  const recorded = fill === 'empty' && !serial ? { peers: { 'libnetwork (recorded)': 4.5 } } : {}
  return [
    { name: `${name}-request`, unit: 'us', ours: median(requests), ...recorded },
    { name: `${name}-release`, unit: 'us', ours: median(releases) },
  ]
}

async function hold(ipam: IpamDriver, id: string, count: number, inOrder: boolean): Promise<void> {
  for (let held = 0; held < count;) {
    const requests = Array.from(
      { length: Math.min(TOGETHER, count - held) },
      () =>
      // One that was drawn before, or that is nobody's to have, does not count.
      ipam.requestAddress(id, inOrder ? {} : { address: drawAddress() }).then(() => 1, () => 0), // prettier-ignore
    )
    held += (await Promise.all(requests)).reduce((sum: number, one) => sum + one, 0)
  }
}

function drawAddress(): string {
  return `10.${[0, 0, 0].map(() => Math.floor(Math.random() * 256)).join('.')}`
}
