import { describe, expect, it } from 'vitest'
import { Idm } from './index.ts'

const code = (name: string): object => expect.objectContaining({ code: name }) as object
const takeSpecific = (idm: Idm, id: number) => () => {
  idm.takeSpecific(id)
}

describe('Idm', () => {
  // libnetwork: idm.TestNew
  it.each([
    [1024, 0],
    [-1, 5],
    [0.5, 5],
    [0, 2 ** 53],
    [Number.NaN, 5],
  ])('refuses the range %d to %d', (first, last) => {
    expect(() => new Idm({ first, last })).toThrow(code('ERR_INVALID_RANGE'))
  })

  it('works with a range of one id', () => {
    const idm = new Idm({ first: 7, last: 7 })

    expect(idm.take()).toBe(7)
    expect(() => idm.take()).toThrow(code('ERR_NO_ID_AVAILABLE'))
  })

  it('works with the largest range there is', () => {
    const idm = new Idm({ first: 0, last: Number.MAX_SAFE_INTEGER })
    idm.takeSpecific(Number.MAX_SAFE_INTEGER)

    expect(idm.has(Number.MAX_SAFE_INTEGER)).toBe(true)
    expect(idm.take({ within: { first: 2 ** 52, last: Number.MAX_SAFE_INTEGER } })).toBe(2 ** 52)
    expect(idm.free).toBe(2 ** 53 - 2)
  })

  // libnetwork: idm.TestAllocate
  it('takes the lowest free id, or a specific one', () => {
    const idm = new Idm({ first: 50, last: 52 })

    expect(takeSpecific(idm, 49)).toThrow(code('ERR_ID_OUT_OF_RANGE'))
    expect(takeSpecific(idm, 53)).toThrow(code('ERR_ID_OUT_OF_RANGE'))
    expect(idm.take()).toBe(50)
    expect(takeSpecific(idm, 50)).toThrow(code('ERR_ID_IN_USE'))
    expect(idm.take()).toBe(51)
    expect(idm.take()).toBe(52)
    expect(() => idm.take()).toThrow(code('ERR_NO_ID_AVAILABLE'))

    idm.release(50)
    expect(idm.take()).toBe(50)
    idm.release(52)
    idm.takeSpecific(52)
    expect(idm.has(52)).toBe(true)
  })

  // libnetwork: idm.TestAllocate
  it('starts at any first id', () => {
    const idm = new Idm({ first: 0, last: 2 ** 24 - 1 })
    const within = { first: 4096, last: 2 ** 24 - 1 }

    expect([idm.take({ within }), idm.take({ within }), idm.take({ within })]).toEqual([4096, 4097, 4098])
  })

  // libnetwork: idm.TestAllocateInRange
  it('takes ids within a part of its range', () => {
    const idm = new Idm({ first: 5, last: 10 })
    const whole = { first: 5, last: 10 }

    expect(idm.take({ within: { first: 6, last: 6 } })).toBe(6)
    expect(takeSpecific(idm, 6)).toThrow(code('ERR_ID_IN_USE'))
    expect(idm.take()).toBe(5)
    idm.release(6)
    expect(idm.take()).toBe(6)
    for (const id of [7, 8, 9, 10]) expect(idm.take({ within: { first: 7, last: 10 } })).toBe(id)
    idm.release(10)
    expect(idm.take({ within: whole })).toBe(10)
    idm.release(5)
    expect(idm.take({ within: whole })).toBe(5)

    for (const id of [5, 6, 7, 8, 9, 10]) idm.release(id)
    for (const id of [5, 6, 7, 8, 9, 10]) expect(idm.take({ within: whole })).toBe(id)
    for (const id of [5, 6, 7, 8, 9, 10]) expect(takeSpecific(idm, id)).toThrow(code('ERR_ID_IN_USE'))
  })

  it.each([
    [4, 6],
    [6, 11],
    [7, 6],
    [6.5, 7],
  ])('refuses to choose between %d and %d out of 5 to 10', (first, last) => {
    expect(() => new Idm({ first: 5, last: 10 }).take({ within: { first, last } })).toThrow(code('ERR_INVALID_RANGE'))
  })

  // libnetwork: idm.TestAllocateSerial
  it('lets a released id rest with serial', () => {
    const idm = new Idm({ first: 50, last: 55 })
    const serial = true

    expect([idm.take({ serial }), idm.take({ serial }), idm.take({ serial })]).toEqual([50, 51, 52])
    idm.release(50)
    expect(idm.take({ serial })).toBe(53)
    idm.release(52)
    idm.takeSpecific(52)
    expect(idm.has(52)).toBe(true)
  })

  it('passes over the release of an id that is not held or not its own, as libnetwork does', () => {
    const idm = new Idm({ first: 5, last: 10 })
    for (const id of [5, 4, 11, -1, 5.5]) idm.release(id)

    expect(idm.free).toBe(6)
    expect([idm.has(4), idm.has(5.5), idm.has(5)]).toEqual([false, false, false])
  })
})
