import { setImmediate } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { holdName, isNameHeld } from '../src/index.ts'
import { describeKernel, enterFreshHost } from '../src/testing/index.ts'

await enterFreshHost()

/** Who holds the name, or that it was free. */
function holderOf(name: string): number | string | undefined {
  try {
    holdName(name).close()
    return 'free'
  } catch (error) {
    if (!isNameHeld(error)) throw error
    return error.pid
  }
}

describeKernel('a name', () => {
  it('is held by one, who is named to others, until it is let go', () => {
    const held = holdName('net/test')

    expect(holderOf('net/test')).toBe(process.pid)
    expect(holderOf('net/other')).toBe('free')
    held.close()
    held.close()
    expect(holderOf('net/test')).toBe('free')
  })

  it('can be asked for any number of times while it is held, and its holder is always named', async () => {
    using _held = holdName('net/test')

    const holders = new Set<number | string | undefined>()
    for (let round = 0; round < 50; round++) {
      for (let time = 0; time < 20; time++) holders.add(holderOf('net/test'))
      await setImmediate()
    }

    expect(holders).toEqual(new Set([process.pid]))
  })

  it('can be asked for while its holder has no time to answer', () => {
    using _held = holdName('net/test')

    const holders = new Set(Array.from({ length: 500 }, () => holderOf('net/test')))

    expect(holders).toEqual(new Set([process.pid, undefined]))
  })
})
