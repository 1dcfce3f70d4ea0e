import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLmdbStore } from '@net/datastore-lmdb'
import { defaultIpam } from '@net/ipam'
import type { IpamDriver } from '@net/ipamapi'
import { open } from 'lmdb'
import { collectGarbage, longestCollection, longestStall, median, timed, type Measurement } from '../measure.ts'

const addressSpace = 'LocalDefault'
/** Before anything counts, ours and the floor run until they are compiled. */
const WARM_UP = 400
const SINGLE = 400
const CALLERS = 64
const WARM_UP_ROUNDS = 20
const ROUNDS = 40
const POOLS = 10_000
const ADDRESSES = 1_000_000

/** Addresses taken durably in a folder, beside a bare durable put. */
export function measureDurableRequests(): Promise<Measurement[]> {
  return inFolder(measureRequests)
}

/** The opening of a folder with a million addresses. */
export function measureDurableOpening(): Promise<Measurement[]> {
  return inFolder(measureOpening)
}

async function measureRequests(path: string): Promise<Measurement[]> {
  const bare = open({ path: join(path, 'bare'), overlappingSync: false })
  const records = openRecords(join(path, 'records'))
  const store = await openLmdbStore({ path: join(path, 'store') })
  const ipam = defaultIpam({}, { store })
  const { id } = await ipam.requestPool({ addressSpace, pool: '10.0.0.0/8' })

  const floor: number[] = []
  const four: number[] = []
  const puts: number[] = []
  const requests: number[] = []
  const owned: number[] = []
  const steps = [
    async (at: number) => floor.push(await timed(() => bare.put(`key${at}`, 'value'))),
    async (at: number) => four.push(await timed(() => records.put(at))),
    async (at: number) => puts.push(await timed(() => store.put(`key${at}`, new Uint8Array(16)))),
    async () => requests.push(await timed(() => ipam.requestAddress(id))),
    async (at: number) => owned.push(await timed(() => ipam.requestAddress(id, { owner: `single${at}` }))),
  ]
  // Turn by turn, since the disk is now faster, now slower; and each as often first as the others, since whoever comes
  // behind another pays for what that one has left the disk to do.
  const measureOne = async (at: number): Promise<void> => {
    for (let step = 0; step < steps.length; step++) await steps[(at + step) % steps.length]?.(at)
  }
  const together: number[] = []
  const measureMany = async (round: number): Promise<void> => {
    const all = (): Promise<unknown> =>
      Promise.all(Array.from({ length: CALLERS }, (_, at) => ipam.requestAddress(id, { owner: `${round}-${at}` })))
    together.push((await timed(all)) / CALLERS)
  }
  for (let at = 0; at < WARM_UP + SINGLE; at++) await measureOne(at)
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) await measureMany(round)
  await store.close()
  await bare.close()
  await records.close()

  const floorMs = median(floor.slice(WARM_UP))
  const sameRecordsMs = median(four.slice(WARM_UP))
  const single = median(requests.slice(WARM_UP))
  const many = median(together.slice(WARM_UP_ROUNDS))
  const original = { 'libnetwork (recorded)': 0.74 }
  return [
    { name: 'ipam-durable-put', unit: 'ms', ours: median(puts.slice(WARM_UP)), floor: floorMs },
    { name: 'ipam-durable-request', unit: 'ms', ours: single, floor: floorMs, peers: original },
    {
      name: 'ipam-durable-request-of-owner',
      unit: 'ms',
      ours: median(owned.slice(WARM_UP)),
      floor: sameRecordsMs,
      peers: { 'one bare put': floorMs, ...original },
    },
    { name: `ipam-durable-of-${CALLERS}-callers`, unit: 'ms', ours: many, peers: { 'one caller': single } },
  ]
}

/** What a request of an owner writes, without anything around it: address, owner, change and state, in three tables. */
function openRecords(path: string): { put(at: number): Promise<unknown>; close(): Promise<void> } {
  const root = open<Uint8Array, string>({ path, overlappingSync: false, encoding: 'binary' })
  const [entries, log, state] = ['entries', 'log', 'state'].map((name) => root.openDB<Uint8Array, string>({ name, encoding: 'binary' })) // prettier-ignore
  return {
    put: (at) =>
      root.batch(() => {
        void entries?.put(`address/${at}`, new Uint8Array(30))
        void entries?.put(`owner/single${at}`, new Uint8Array(30))
        void log?.put(String(at).padStart(8, '0'), new Uint8Array(300))
        void state?.put('state', new Uint8Array(90))
      }),
    close: () => root.close(),
  }
}

async function measureOpening(path: string): Promise<Measurement[]> {
  await fill(path)
  let store = await openLmdbStore({ path })
  await store.close()
  const pool = (number: number): string => `${addressSpace}/10.${number >> 8}.${number & 255}.0/24`
  let ipam = defaultIpam()
  let passed = 0
  collectGarbage()
  let opening = 0
  const collecting = await longestCollection(async () => {
    opening = await longestStall(async () => {
      passed = await timed(async () => {
        store = await openLmdbStore({ path })
        ipam = defaultIpam({}, { store })
        await ipam.requestAddress(pool(0))
      })
    })
  })
  let all = 0
  const reading = await longestStall(async () => {
    all = await timed(async () => {
      for (let number = 0; number < POOLS; number++) await ipam.poolStatus?.(pool(number))
    })
  })
  await store.close()
  return [
    { name: 'ipam-open', unit: 'ms', ours: passed },
    { name: 'ipam-open-stall', unit: 'ms', ours: opening, peers: { 'longest garbage collection in it': collecting } },
    { name: 'ipam-read-all', unit: 'ms', ours: all },
    { name: 'ipam-read-all-stall', unit: 'ms', ours: reading },
  ]
}

/** 10 000 pools of a hundred addresses each. */
async function fill(path: string): Promise<void> {
  const store = await openLmdbStore({ path })
  const ipam = defaultIpam({ pools: [{ base: '10.0.0.0/8', size: 24 }] }, { store })
  for (let taken = 0; taken < POOLS;) {
    const pools = await Promise.all(Array.from({ length: 100 }, () => ipam.requestPool({ addressSpace })))
    await Promise.all(pools.flatMap(({ id }) => requestMany(ipam, id, ADDRESSES / POOLS)))
    taken += pools.length
  }
  await store.close()
}

function requestMany(ipam: IpamDriver, id: string, count: number): Promise<unknown>[] {
  return Array.from({ length: count }, () => ipam.requestAddress(id))
}

async function inFolder(work: (path: string) => Promise<Measurement[]>): Promise<Measurement[]> {
  const path = mkdtempSync(join(tmpdir(), 'net-bench-'))
  try {
    return await work(path)
  } finally {
    rmSync(path, { recursive: true })
  }
}
