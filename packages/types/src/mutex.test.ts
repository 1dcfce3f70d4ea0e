import { describe, expect, it } from 'vitest'
import { KeyedMutex, Mutex } from './index.ts'

/** Lets everything go on that is ready to. */
const settled = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) }) // prettier-ignore

describe('Mutex', () => {
  it('is held by one at a time, in order of asking', async () => {
    const mutex = new Mutex()
    const events: string[] = []
    const hold = async (name: string): Promise<void> => {
      const lock = await mutex.lock()
      events.push(`${name} in`)
      await settled()
      events.push(`${name} out`)
      lock[Symbol.dispose]()
    }

    await Promise.all([hold('a'), hold('b'), hold('c')])

    expect(events).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out'])
    expect(mutex.idle).toBe(true)
  })

  it('is not overtaken by who asks just when it is let go', async () => {
    const mutex = new Mutex()
    const order: string[] = []
    const first = await mutex.lock()
    const waiting = mutex.lock().then(() => order.push('waiting'))
    first[Symbol.dispose]()
    const late = mutex.lock().then(() => order.push('late'))
    await settled()

    expect(order).toEqual(['waiting'])
    expect(mutex.idle).toBe(false)
    void waiting
    void late
  })

  it('is let go once, even if that is said twice', async () => {
    const mutex = new Mutex()
    const first = await mutex.lock()
    first[Symbol.dispose]()
    const second = await mutex.lock()
    first[Symbol.dispose]()

    expect(mutex.idle).toBe(false)
    second[Symbol.dispose]()
    expect(mutex.idle).toBe(true)
  })

  it('is given up with the reason of the signal, and passed on to the next', async () => {
    const mutex = new Mutex()
    const lock = await mutex.lock()
    const abort = new AbortController()
    const givesUp = mutex.lock({ signal: abort.signal })
    const next = mutex.lock()
    abort.abort(new Error('no time'))

    await expect(givesUp).rejects.toThrow('no time')
    lock[Symbol.dispose]()
    ;(await next)[Symbol.dispose]()
    expect(mutex.idle).toBe(true)
  })

  it('is not even asked for with a signal that has fired', async () => {
    const mutex = new Mutex()

    await expect(mutex.lock({ signal: AbortSignal.abort(new Error('no time')) })).rejects.toThrow('no time')
    expect(mutex.idle).toBe(true)
  })

  it('stays held when the signal fires after it was given', async () => {
    const mutex = new Mutex()
    const abort = new AbortController()
    const first = await mutex.lock()
    const second = mutex.lock({ signal: abort.signal })
    first[Symbol.dispose]()
    const lock = await second
    abort.abort(new Error('too late'))

    expect(mutex.idle).toBe(false)
    lock[Symbol.dispose]()
    expect(mutex.idle).toBe(true)
  })
})

describe('KeyedMutex', () => {
  it('locks each key by itself', async () => {
    const locks = new KeyedMutex<string>()
    const one = await locks.lock('one')
    const other = await locks.lock('other')
    let isHeldTwice = false
    const again = locks.lock('one').then((lock) => {
      isHeldTwice = true
      return lock
    })
    await settled()
    expect(isHeldTwice).toBe(false)

    one[Symbol.dispose]()
    ;(await again)[Symbol.dispose]()
    other[Symbol.dispose]()
  })

  it('forgets a key that nobody holds or waits for', async () => {
    const collected: string[] = []
    const registry = new FinalizationRegistry<string>((key) => collected.push(key))
    const locks = new KeyedMutex<object>()
    await (async () => {
      const key = {}
      registry.register(key, 'used')
      const given = await locks.lock(key)
      const abort = new AbortController()
      const waiting = locks.lock(key, { signal: abort.signal })
      abort.abort(new Error('given up'))
      await expect(waiting).rejects.toThrow('given up')
      given[Symbol.dispose]()
      await expect(locks.lock(key, { signal: AbortSignal.abort(new Error('late')) })).rejects.toThrow('late')
    })()

    const { setFlagsFromString } = await import('node:v8')
    const { runInNewContext } = await import('node:vm')
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    for (let turn = 0; turn < 50 && collected.length === 0; turn++) {
      collect()
      await settled()
    }
    expect(collected).toEqual(['used'])
    // Used after the collection, so that it was not collected with its keys.
    ;(await locks.lock({}))[Symbol.dispose]()
  })
})
