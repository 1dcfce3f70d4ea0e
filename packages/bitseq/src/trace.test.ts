import { isNetError } from '@net/types'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Bitseq } from './index.ts'

const folder = new URL('../test/fixtures/traces/', import.meta.url)

/** One recorded operation, with what libnetwork answered. */
interface Step {
  readonly op: 'new' | 'set' | 'unset' | 'isSet' | 'setAny' | 'setAnyInRange' | 'encode'
  readonly bits?: number
  readonly ordinal?: number
  readonly start?: number
  readonly end?: number
  readonly serial?: boolean
  readonly value?: boolean
  readonly hex?: string
  readonly unselected?: number
  readonly error?: keyof typeof codes
}

const codes = {
  NoBitAvailable: 'ERR_NO_BIT_AVAILABLE',
  BitAllocated: 'ERR_BIT_ALLOCATED',
  InvalidRange: 'ERR_INVALID_RANGE',
  OutOfBounds: 'ERR_ORDINAL_OUT_OF_RANGE',
} as const

function stepsOf(file: string): Step[] {
  const lines = readFileSync(new URL(file, folder), 'utf8').trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as Step)
}

/** What the row answers, in the terms of the trace. */
function replay(row: Bitseq, step: Step): object {
  try {
    switch (step.op) {
      case 'new':
        return { bits: Number(row.length) }
      case 'set':
        row.set(step.ordinal!)
        return { ordinal: step.ordinal }
      case 'unset':
        row.clear(step.ordinal!)
        return { ordinal: step.ordinal }
      case 'isSet':
        return { ordinal: step.ordinal, value: row.has(step.ordinal!) }
      case 'setAny':
        return { ordinal: Number(row.take({ serial: step.serial })), serial: step.serial }
      case 'setAnyInRange': {
        const { start, end, serial } = step
        return { start, end, serial, ordinal: Number(row.take({ within: { first: start!, last: end! }, serial })) }
      }
      case 'encode': {
        const bytes = row.encode()
        expect(Buffer.from(Bitseq.decode(bytes).encode()).equals(bytes)).toBe(true)
        return { hex: Buffer.from(bytes).toString('hex'), unselected: Number(row.free) }
      }
    }
  } catch (error) {
    return { code: isNetError(error) ? error.code : error }
  }
}

describe('the recorded operations of libnetwork', () => {
  const files = readdirSync(folder).sort()
  let checked = 0

  it.each(files)('have the same results here: %s', (file) => {
    const [first, ...steps] = stepsOf(file)
    const row = new Bitseq(first!.bits!)
    checked++

    for (const [index, step] of steps.entries()) {
      const { op, error, ...recorded } = step
      const expected = error === undefined ? recorded : { code: codes[error] }
      expect(replay(row, step), `${file}, line ${index + 2}: ${op}`).toEqual(expected)
      checked++
    }
  })

  it('are all checked', () => {
    expect(files).toHaveLength(12)
    expect(checked).toBe(4441)
  })
})
