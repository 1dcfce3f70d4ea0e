import { isNetError } from '@net/types'
import { expect } from 'vitest'
import { compareKeys } from '../key-order.ts'
import type { Store, StoreOperation } from '../store.ts'
import { bytes, nextEvents, reader, text } from './store-place.ts'

/** Few, so that they meet; and such that prefixes and orders matter. */
const KEYS = ['a', 'a/', 'a/1', 'a/10', 'b', 'ÿ', '\uFFFD', '😀'] as const

/** One operation of a step. `key` and `condition` are reduced to what there is. */
export interface ModelOperation {
  readonly type: 'put' | 'delete' | 'check'
  readonly key: number
  /** Whether to state a condition: none, the version there is, or one that is wrong. */
  readonly condition: 'none' | 'right' | 'wrong'
}

/** One transaction, as plain data that a generator can make. */
export type ModelStep = readonly ModelOperation[]

/** Steps from a small generator that gives the same ones for the same seed. */
export function modelSteps(seed: number, count: number): ModelStep[] {
  let state = seed
  const below = (end: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * end)
  }
  const oneOf = <T>(choices: readonly T[]): T => choices[below(choices.length)]!
  const operation = (): ModelOperation => ({
    type: oneOf(['put', 'put', 'delete', 'check']),
    key: below(KEYS.length),
    condition: oneOf(['none', 'none', 'right', 'right', 'right', 'wrong']),
  })
  return Array.from({ length: count }, () => Array.from({ length: 1 + below(4) }, operation))
}

interface ModelEntry {
  readonly value: string
  readonly version: number
}

/**
 * Carries out steps on an empty store and on a plain map, and fails where the two differ: in results, in contents,
 * or in what a watch of the whole time reports.
 */
export async function followModel(store: Store, steps: readonly ModelStep[]): Promise<void> {
  const model = new Map<string, ModelEntry>()
  const expected: string[][] = []
  const changes = reader(store.watch(''))
  for (const [number, step] of steps.entries()) {
    const operations = operationsOf(step, model, `value ${number}`)
    const isRefused = operations.some(({ key, ifVersion }) => !isMet(model.get(key), ifVersion))
    const revision = await carryOut(store, operations)
    expect(revision === undefined).toBe(isRefused)
    if (revision !== undefined) expected.push(apply(model, operations, revision))
    expect(await contentsOf(store)).toEqual(sorted(model))
  }
  for (const words of expected.filter(({ length }) => length > 0)) {
    expect(await nextEvents(changes)).toEqual(words)
  }
}

function operationsOf(step: ModelStep, model: ReadonlyMap<string, ModelEntry>, value: string): StoreOperation[] {
  const byKey = new Map(step.map((operation) => [KEYS[operation.key % KEYS.length]!, operation]))
  return [...byKey].map(([key, { type, condition }]): StoreOperation => {
    const version = model.get(key)?.version ?? 0
    const ifVersion = { none: undefined, right: version, wrong: version + 1 }[condition]
    if (type === 'check') return { type, key, ifVersion: ifVersion ?? version }
    return type === 'put' ? { type, key, value: bytes(value), ifVersion } : { type, key, ifVersion }
  })
}

function isMet(entry: ModelEntry | undefined, ifVersion: number | undefined): boolean {
  return ifVersion === undefined || ifVersion === (entry?.version ?? 0)
}

/** The revision, or `undefined` for a conflict. */
async function carryOut(store: Store, operations: readonly StoreOperation[]): Promise<number | undefined> {
  try {
    return await store.transaction(operations)
  } catch (error) {
    if (isNetError(error, 'ERR_VERSION_CONFLICT')) return undefined
    throw error
  }
}

/** Changes the model, and tells what a watch has to report. */
function apply(model: Map<string, ModelEntry>, operations: readonly StoreOperation[], version: number): string[] {
  const words = operations.flatMap((operation) => {
    const { type, key } = operation
    if (type === 'check') return []
    if (type === 'delete') return model.delete(key) ? [`delete ${key}`] : []
    const value = text(operation.value)
    model.set(key, { value, version })
    return [`put ${key} = ${value}`]
  })
  return words.sort()
}

async function contentsOf(store: Store): Promise<[string, ModelEntry][]> {
  const { entries } = await store.list('')
  return entries.map(({ key, value, version }) => [key, { value: text(value), version }])
}

function sorted(model: ReadonlyMap<string, ModelEntry>): [string, ModelEntry][] {
  return [...model].sort(([one], [other]) => compareKeys(one, other))
}
