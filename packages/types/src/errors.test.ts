import { describe, expect, it } from 'vitest'
import { ClosedError, InvalidAddressError, isNetError, NetError, NotImplementedError } from './index.ts'

describe('NetError', () => {
  it('has a name, a code, a kind and a message', () => {
    expect(new ClosedError('store')).toMatchObject({
      name: 'ClosedError',
      code: 'ERR_CLOSED',
      kind: 'forbidden',
      message: 'store is closed',
      maskable: false,
    })
    expect(new NotImplementedError('this')).toMatchObject({ kind: 'not-implemented' })
  })

  it('keeps its cause, and has none when there is none', () => {
    const cause = new Error('why')

    expect(new NetError('what', { code: 'ERR_TEST', kind: 'internal', cause }).cause).toBe(cause)
    expect('cause' in new NetError('what', { code: 'ERR_TEST', kind: 'internal' })).toBe(false)
  })

  it('shows the text it complains about, quoted', () => {
    expect(new InvalidAddressError('a\n"b"', 'c').message).toBe('invalid address "a\\n\\"b\\"": expected c')
  })

  it('is told apart by its code, in whichever copy of the package it was made', () => {
    // What another copy's class makes.
    const foreign = Object.assign(new Error('closed'), {
      [Symbol.for('@net/types.NetError')]: true,
      code: 'ERR_CLOSED',
    })

    expect([isNetError(foreign), isNetError(foreign, 'ERR_CLOSED'), isNetError(foreign, 'ERR_OTHER')]).toEqual([
      true,
      true,
      false,
    ])
    expect([isNetError(new Error('x')), isNetError(undefined), isNetError({ code: 'ERR_CLOSED' })]).toEqual([
      false,
      false,
      false,
    ])
  })
})
