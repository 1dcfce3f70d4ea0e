import { memoryStore } from '@net/datastore'
import { isNetError } from '@net/types'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { IpamDriver } from '@net/ipamapi'
import { defaultIpam } from './index.ts'

const folder = new URL('../test/fixtures/traces/', import.meta.url)

/** One recorded operation, with what libnetwork answered. */
interface Step {
  readonly op: 'new' | 'requestPool' | 'releasePool' | 'requestAddress' | 'releaseAddress'
  readonly addressSpace?: string
  readonly requested?: string
  readonly subPool?: string
  readonly v6?: boolean
  readonly pool?: string
  readonly poolId?: string
  readonly address?: string
  readonly serial?: boolean
  readonly result?: string
  readonly error?: keyof typeof codes
}

const codes = {
  PoolOverlap: 'ERR_POOL_OVERLAP',
  IPAlreadyAllocated: 'ERR_ADDRESS_IN_USE',
  IPOutOfRange: 'ERR_ADDRESS_OUT_OF_RANGE',
  NoAvailableIPs: 'ERR_NO_ADDRESS_AVAILABLE',
} as const

function stepsOf(file: string): Step[] {
  const lines = readFileSync(new URL(file, folder), 'utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as Step)
}

/** What the manager answers, in the terms of the trace. */
async function replay(ipam: IpamDriver, step: Step): Promise<object> {
  const { poolId = '', address, serial } = step
  try {
    switch (step.op) {
      case 'new':
        return {}
      case 'requestPool': {
        const { id, pool } = await ipam.requestPool({
          addressSpace: step.addressSpace!,
          pool: step.requested!,
          subPool: step.subPool === '' ? undefined : step.subPool,
          family: step.v6 === true ? 6 : 4,
        })
        return { poolId: id, pool }
      }
      case 'releasePool':
        await ipam.releasePool(poolId)
        return {}
      case 'requestAddress':
        return { result: (await ipam.requestAddress(poolId, { address, serial })).address }
      case 'releaseAddress':
        await ipam.releaseAddress(poolId, address!)
        return {}
    }
  } catch (error) {
    return { code: isNetError(error) ? error.code : error }
  }
}

function expectedOf(step: Step): object {
  if (step.error !== undefined) return { code: codes[step.error] }
  if (step.op === 'requestPool') return { poolId: step.poolId, pool: step.pool }
  return step.op === 'requestAddress' ? { result: step.result } : {}
}

describe.each([
  ['in memory', () => defaultIpam()],
  ['over a store', () => defaultIpam({}, { store: memoryStore() })],
])('the recorded operations of libnetwork, %s,', (_, open) => {
  const files = readdirSync(folder).sort()
  let checked = 0

  it.each(files)('have the same results here: %s', async (file) => {
    const ipam = open()
    for (const [index, step] of stepsOf(file).entries()) {
      expect(await replay(ipam, step), `${file}, line ${index + 1}: ${JSON.stringify(step)}`).toEqual(expectedOf(step))
      checked++
    }
  })

  it('are all checked', () => {
    expect(files).toHaveLength(12)
    expect(checked).toBe(4282)
  })
})
