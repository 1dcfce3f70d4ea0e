import packet, { type Answer, type Packet } from 'dns-packet'
import { describe, expect, it } from 'vitest'
import { AnswerCache, secondsToKeep } from './answer-cache.ts'
import { readMessage, type DnsMessage } from './message.ts'

const NXDOMAIN = 3
const SERVFAIL = 2

function message(changes: Partial<Packet>): DnsMessage {
  return readMessage(packet.encode({ type: 'response', questions: [{ name: 'web.example', type: 'A' }], ...changes }))
}

const address = (ttl: number): Answer => ({ type: 'A', name: 'web.example', ttl, data: '192.0.2.1' })
const alias = (ttl: number): Answer => ({ type: 'CNAME', name: 'web.example', ttl, data: 'cdn.example' })
const soa = (ttl: number, minimum: number): Answer => ({
  type: 'SOA',
  name: 'example',
  ttl,
  data: { mname: 'ns.example', rname: 'root.example', serial: 1, refresh: 1, retry: 1, expire: 1, minimum },
})

describe('an answer is kept', () => {
  it.each<[string, Partial<Packet>, number]>([
    ['for the shortest time of its records', { answers: [alias(300), address(60)] }, 60],
    ['for a day at most', { answers: [address(0x7fffffff)] }, 86_400],
    ['for no time when its time is beyond what times can be', { answers: [address(0x80000000)] }, 0],
    ['that there is no such name, for as long as the SOA lives', { flags: NXDOMAIN, authorities: [soa(60, 900)] }, 60],
    ['that there is no such name, for as long as the SOA says', { flags: NXDOMAIN, authorities: [soa(900, 60)] }, 60],
    ['that there is no such name, for an hour at most', { flags: NXDOMAIN, authorities: [soa(9000, 9000)] }, 3600],
    ['that there is no such record, likewise', { authorities: [soa(60, 60)] }, 60],
    ['that an alias leads to nothing, likewise', { answers: [alias(600)], authorities: [soa(60, 60)] }, 60],
    ['for no time when nothing says how long', { flags: NXDOMAIN }, 0],
    ['for no time when it is one of failure', { flags: SERVFAIL, authorities: [soa(60, 60)] }, 0],
    ['for no time when it was cut', { flags: packet.TRUNCATED_RESPONSE, answers: [address(60)] }, 0],
  ])('%s', (_what, changes, seconds) => {
    expect(secondsToKeep(message(changes))).toBe(seconds)
  })
})

describe('a cache', () => {
  it('forgets what was not asked for longest when it is full', () => {
    const cache = new AnswerCache({ entries: 2, now: () => 0 })
    const kept = message({ answers: [address(60)] })
    cache.keep('a', kept)
    cache.keep('b', kept)
    cache.find('a')
    cache.keep('c', kept)

    expect(['a', 'b', 'c'].filter((key) => cache.find(key) !== undefined)).toEqual(['a', 'c'])
  })

  it('gives what is left of each time', () => {
    let ms = 0
    const cache = new AnswerCache({ entries: 2, now: () => ms })
    cache.keep('a', message({ answers: [alias(300), address(60)] }))
    ms = 10_500

    expect(cache.find('a')?.records.map(({ ttl }) => ttl)).toEqual([290, 50])
    ms = 60_000
    expect(cache.find('a')).toBeUndefined()
  })

  it('keeps no answer that is long', () => {
    const cache = new AnswerCache({ entries: 2, now: () => 0 })
    cache.keep('a', message({ answers: Array.from({ length: 200 }, () => address(60)) }))

    expect(cache.find('a')).toBeUndefined()
  })

  it('keeps no answer to a query that is long', () => {
    const cache = new AnswerCache({ entries: 2, now: () => 0 })
    const keys = [512, 513].map((length) => 'a'.repeat(length))
    for (const key of keys) cache.keep(key, message({ answers: [address(60)] }))

    expect(keys.map((key) => cache.find(key) !== undefined)).toEqual([true, false])
  })
})
