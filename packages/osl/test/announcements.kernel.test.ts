import { describeKernel, enterFreshHost, ipIn } from '@net/netlink-ffi/testing'
import { beforeEach, expect, it, vi } from 'vitest'
import type { Executor } from '../src/index.ts'
import { openLab, planOf } from './lab.ts'

await enterFreshHost()

/** Two endpoints whose interfaces have one name: the first is told of to neighbours. */
const one = planOf(2, { name: 'eth0', announce: true })
const two = planOf(3, { name: 'eth0' })

let executor: Executor
let key: string
beforeEach(async () => {
  const lab = await openLab()
  executor = lab.executor
  key = lab.key
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  return async () => {
    vi.useRealTimers()
    await lab.close([two])
  }
})

const addressOf = (name: string): unknown => (ipIn(key, 'link', 'show', name) as { address: string }[])[0]?.address
/** All that is to be told later is told. */
const later = (): void => {
  vi.advanceTimersByTime(5_000)
}

describeKernel('an interface whose address is told to neighbours', () => {
  it('leaves the next of its name its MAC address', async () => {
    await executor.join(key, one)
    await executor.leave(key, one)
    await executor.join(key, two)

    later()

    expect(addressOf('eth0')).toBe('02:42:0a:14:00:03')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('leaves the first of a new sandbox at its key its MAC address', async () => {
    await executor.join(key, one)
    await executor.deleteSandbox(key, [one])
    await executor.createSandbox(key)
    await executor.join(key, two)

    later()

    expect(addressOf('eth0')).toBe('02:42:0a:14:00:03')
  })

  it('is not told of any more when a program in the sandbox gave its name to another', async () => {
    await executor.join(key, one)
    ipIn(key, 'link', 'set', 'eth0', 'name', 'own0')
    ipIn(key, 'link', 'add', 'eth0', 'type', 'bridge')
    const before = addressOf('eth0')

    later()

    expect(addressOf('eth0')).toBe(before)
    await executor.leave(key, one)
  })

  it('keeps a MAC address that a program in the sandbox gave it', async () => {
    await executor.join(key, one)
    ipIn(key, 'link', 'set', 'eth0', 'address', '02:00:00:00:00:77')

    later()

    expect(addressOf('eth0')).toBe('02:00:00:00:00:77')
    await executor.leave(key, one)
  })
})
