import { closeSync, readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { countDescriptors, mountProc } from '../src/index.ts'
import { describeKernel, enterFreshHost, SystemCallFaults } from '../src/testing/index.ts'

await enterFreshHost()

const mounts = (): string => readFileSync('/proc/self/mountinfo', 'utf8')

describeKernel('a procfs of our own', () => {
  it('shows what /proc shows, settings of the namespace that the thread is in among it', () => {
    const proc = mountProc()

    expect(readdirSync(`/proc/self/fd/${proc}/sys/net/ipv4/conf`)).toEqual(readdirSync('/proc/sys/net/ipv4/conf'))
    expect(readFileSync(`/proc/self/fd/${proc}/self/comm`, 'utf8')).toBe(readFileSync('/proc/self/comm', 'utf8'))

    closeSync(proc)
  })

  it('is mounted where nobody sees it, and gone with its descriptor', () => {
    const before = { mounts: mounts(), descriptors: countDescriptors() }
    const proc = mountProc()

    expect(mounts()).toBe(before.mounts)

    closeSync(proc)
    expect(countDescriptors()).toBe(before.descriptors)
  })

  it.each([1, 2, 3])('leaves nothing open when call %i of making it fails', (nth) => {
    const before = countDescriptors()
    using faults = new SystemCallFaults()
    faults.failAt(nth)

    expect(() => mountProc()).toThrow(/ENOMEM/)

    expect(faults.failed).toBe(['fsopen', 'fsconfig', 'fsmount'][nth - 1])
    expect(countDescriptors()).toBe(before)
  })
})
