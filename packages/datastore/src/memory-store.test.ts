import { describe, expect, it, vi } from 'vitest'
import { memoryStore } from './index.ts'
import { describeStore } from './testing/index.ts'

const HISTORY = 200
const code = (name: string): object => expect.objectContaining({ code: name }) as object
const value = new Uint8Array([1])

describeStore('in memory', {
  lacks: ['openAgain', 'damage', 'expireLease'],
  open: () => {
    const store = memoryStore({ history: HISTORY })
    const forgetHistory = async (): Promise<void> => {
      for (let number = 0; number <= HISTORY; number++) await store.put('~', value)
    }
    return Promise.resolve({ store, forgetHistory })
  },
})

describe('a store in memory', () => {
  it.each([0, -1, 1.5, Number.NaN])('refuses a history of %d changes', (history) => {
    expect(() => memoryStore({ history })).toThrow(code('ERR_INVALID_STORE_OPTION'))
  })

  it('has a reader that lags too far behind list anew', async () => {
    const store = memoryStore({ history: 2 })
    const changes = store.watch('')[Symbol.asyncIterator]()
    for (const key of ['a', 'b', 'c']) await store.put(key, value)

    await expect(changes.next()).rejects.toThrow(code('ERR_HISTORY_LOST'))
  })

  it('takes a lease away from a process that stood still, before anything else is seen', async () => {
    vi.useFakeTimers()
    try {
      const store = memoryStore()
      const lease = await store.lease(1000)
      await store.put('a', value, { lease: lease.id })
      await vi.advanceTimersByTimeAsync(5000)
      expect(await store.find('a')).toBeDefined()

      const now = performance.now()
      vi.spyOn(performance, 'now').mockReturnValue(now + 1001)
      expect(await store.find('a')).toBeUndefined()
      expect(lease.lost.aborted).toBe(true)
    } finally {
      vi.restoreAllMocks()
      vi.useRealTimers()
    }
  })
})
