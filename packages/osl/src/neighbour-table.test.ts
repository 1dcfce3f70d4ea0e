import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { silentLogger } from '@net/types'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { NeighbourTable, type NeighboursEvent } from './neighbour-table.ts'

let folder: string
let now: number
let events: NeighboursEvent[]
let table: NeighbourTable

const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), text)
}
const fill = (entries: number): void => {
  const line = `${entries.toString(16).padStart(8, '0')} 00002a2f 00002eb4`
  write('net/stat/arp_cache', `entries  allocs   destroys\n${line}\n${line}\n`)
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'neighbours-'))
  now = 0
  events = []
  const tell = (event: NeighboursEvent): void => {
    events.push(event)
  }
  table = new NeighbourTable({ tell, logger: silentLogger, folder, now: () => now })
  write('sys/net/ipv4/neigh/default/gc_thresh3', '1024\n')
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

it('tells of a table that is nearly full, with the numbers, once', () => {
  fill(900)
  table.look()
  now += 1_000
  table.look()

  expect(events).toEqual([{ kind: 'neighbours-near-limit', family: 4, entries: 900, limit: 1024 }])
})

it('tells again after there was room', () => {
  for (const entries of [900, 800, 900, 600, 900]) {
    fill(entries)
    table.look()
    now += 1_000
  }

  expect(events).toHaveLength(2)
})

it('looks at most once a second', () => {
  fill(0)
  table.look()
  fill(900)
  now += 999
  table.look()
  expect(events).toEqual([])

  now += 1
  table.look()
  expect(events).toHaveLength(1)
})

it.each([
  ['is not there', undefined],
  ['is empty', ''],
  ['says something else', 'entries\nmany\n'],
])('says nothing where the file %s', (_, text) => {
  if (text !== undefined) write('net/stat/arp_cache', text)
  table.look()

  expect(events).toEqual([])
})

it('reads what this kernel says without a complaint', () => {
  const here = new NeighbourTable({ tell: () => undefined, logger: silentLogger })

  expect(() => {
    here.look()
  }).not.toThrow()
})
