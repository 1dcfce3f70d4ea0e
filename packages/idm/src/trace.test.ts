import { isNetError } from '@net/types'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Idm } from './index.ts'

const folder = new URL('../test/fixtures/traces/', import.meta.url)

/** One recorded operation, with what libnetwork answered. */
interface Step {
  readonly op: 'new' | 'getID' | 'getSpecificID' | 'getIDInRange' | 'release'
  readonly id?: number
  readonly start?: number
  readonly end?: number
  readonly serial?: boolean
  readonly error?: keyof typeof codes
}

const codes = {
  NoBitAvailable: 'ERR_NO_ID_AVAILABLE',
  BitAllocated: 'ERR_ID_IN_USE',
  OutOfBounds: 'ERR_ID_OUT_OF_RANGE',
} as const

function stepsOf(file: string): Step[] {
  const lines = readFileSync(new URL(file, folder), 'utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as Step)
}

/** The id that comes of a step, or the code of its error. */
function replay(idm: Idm, { op, id, start, end, serial }: Step): number | string | undefined {
  try {
    switch (op) {
      case 'new':
        return undefined
      case 'getID':
        return idm.take({ serial })
      case 'getIDInRange':
        return idm.take({ within: { first: start!, last: end! }, serial })
      case 'getSpecificID':
        idm.takeSpecific(id!)
        return id
      case 'release':
        idm.release(id!)
        return id
    }
  } catch (error) {
    return isNetError(error) ? error.code : String(error)
  }
}

describe('the recorded operations of libnetwork', () => {
  const files = readdirSync(folder).sort()
  let checked = 0

  it.each(files)('have the same results here: %s', (file) => {
    const [set, ...steps] = stepsOf(file)
    const idm = new Idm({ first: set!.start!, last: set!.end! })
    checked++

    for (const [index, step] of steps.entries()) {
      const expected = step.error === undefined ? step.id : codes[step.error]
      expect(replay(idm, step), `${file}, line ${index + 2}: ${step.op}`).toBe(expected)
      checked++
    }
  })

  it('are all checked', () => {
    expect(files).toHaveLength(12)
    expect(checked).toBe(4767)
  })
})
