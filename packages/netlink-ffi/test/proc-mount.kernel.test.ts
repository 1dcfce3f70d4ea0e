import { closeSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { countDescriptors, createNamespace, deleteNamespace, mountProc, RouteSocket } from '../src/index.ts'
import { describeKernel, enterFreshHost, SystemCallFaults } from '../src/testing/index.ts'

await enterFreshHost()

const folder = mkdtempSync(join(tmpdir(), 'proc-mount-'))
const namespace = join(folder, 'namespace')
afterAll(() => {
  rmSync(folder, { recursive: true })
})

const mounts = (): string => readFileSync('/proc/self/mountinfo', 'utf8')

describeKernel('a procfs of our own', () => {
  it('shows what /proc shows, settings of the namespace that the thread is in among it', () => {
    const proc = mountProc()
    const settingsOf = (root: string): string[] => readdirSync(`${root}/sys/net/ipv4/conf`).sort()

    const inside = createNamespace(namespace, () => {
      using routes = RouteSocket.open()
      routes.createLink({ kind: 'bridge', name: 'inside' })
      return settingsOf(`/proc/self/fd/${proc}`)
    })

    expect(inside).toEqual(['all', 'default', 'inside', 'lo'])
    expect(settingsOf(`/proc/self/fd/${proc}`)).toEqual(settingsOf('/proc'))
    expect(settingsOf('/proc')).not.toContain('inside')
    expect(readFileSync(`/proc/self/fd/${proc}/self/comm`, 'utf8')).toBe(readFileSync('/proc/self/comm', 'utf8'))

    closeSync(proc)
    deleteNamespace(namespace)
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
