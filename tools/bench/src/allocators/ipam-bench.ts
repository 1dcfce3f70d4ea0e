import { defaultIpam } from '@net/ipam'
import type { IpamDriver } from '@net/ipamapi'
import { collectGarbage, median, type Measurement } from '../measure.ts'

const OPERATIONS = 5_000
const ROUNDS = 5
const addressSpace = 'LocalDefault'
/** Addresses of 10.0.0.0/8 that are held before it is measured. */
const fills = { empty: 0, 'million-held': 1_000_000 } as const

/** Requests and releases in a /8, in memory: at random places, in order, and in a circle. */
export async function measureIpam(): Promise<Measurement[]> {
  const measurements: Measurement[] = []
  for (const [fill, held] of Object.entries(fills)) {
    const ipam = defaultIpam()
    const { id } = await ipam.requestPool({ addressSpace, pool: '10.0.0.0/8' })
    await hold(ipam, id, held)
    for (const serial of [false, true]) measurements.push(...(await measurePair(ipam, id, fill, serial)))
  }
  return measurements
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

async function hold(ipam: IpamDriver, id: string, count: number): Promise<void> {
  for (let held = 0; held < count;) {
    const address = `10.${[0, 0, 0].map(() => Math.floor(Math.random() * 256)).join('.')}`
    // One that was drawn before, or that is nobody's to have, does not count.
    const taken = await ipam.requestAddress(id, { address }).catch(() => undefined)
    if (taken !== undefined) held++
  }
}
