import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { countDescriptors, descriptorLimit, makeRoomForDescriptors } from './index.ts'

/** How many descriptors the kernel's table of this process has places for. */
function places(): number {
  return Number(/^FDSize:\s+(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
}

describe('room for descriptors', () => {
  it('is made in the kernel before they are opened, and leaves none open', async () => {
    const more = 2 * places()
    const before = countDescriptors()

    await makeRoomForDescriptors(more)

    expect(places()).toBeGreaterThanOrEqual(before + more)
    expect(countDescriptors()).toBe(before)
  })

  it('is made as far as the limit allows', async () => {
    await makeRoomForDescriptors(2 ** 40)

    expect(places()).toBeGreaterThanOrEqual(descriptorLimit().soft)
  })
})
