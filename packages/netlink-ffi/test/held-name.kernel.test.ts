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

  it('can be asked for any number of times while it is held', () => {
    using _held = holdName('net/test')

    const holders = new Set(Array.from({ length: 100 }, () => holderOf('net/test')))

    // The first few are told who holds it.
    expect(holders).toEqual(new Set([process.pid, undefined]))
  })
})
