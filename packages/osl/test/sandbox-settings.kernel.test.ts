import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { countDescriptors } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, SystemCallFaults } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createSandboxNamespace, deleteSandboxNamespace, inSandbox } from '../src/sandbox-namespace.ts'
import { SandboxSettings } from '../src/sandbox-settings.ts'

await enterFreshHost()

/** More than one procfs serves. */
const SANDBOXES = 70
const TTL = 'net/ipv4/ip_default_ttl'

let folder: string
let keys: string[]
let before: number
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'))
  keys = Array.from({ length: SANDBOXES }, (_, at) => join(folder, `sandbox${at}`))
  for (const key of keys) createSandboxNamespace(key)
  before = countDescriptors()
})
afterEach(() => {
  for (const key of keys) deleteSandboxNamespace(key)
  rmSync(folder, { recursive: true })
})

/** As who looks for himself sees it. */
const ttlOf = (key: string): string => inSandbox(key, () => readFileSync(`/proc/sys/${TTL}`, 'utf8').trim())

describeKernel('settings of sandboxes', () => {
  it('are those of the sandbox that they are set in, one after the other, and not of the host', async () => {
    const host = readFileSync(`/proc/sys/${TTL}`, 'utf8')
    const settings = new SandboxSettings()

    keys.forEach((key, at) => {
      inSandbox(key, () => {
        settings.write([{ path: TTL, value: String(at + 1) }])
      })
    })

    expect(keys.map(ttlOf)).toEqual(keys.map((_, at) => String(at + 1)))
    expect(readFileSync(`/proc/sys/${TTL}`, 'utf8')).toBe(host)
    settings.close()
    await vi.waitFor(() => {
      expect(countDescriptors()).toBe(before)
    })
  })

  it.each([1, 2, 3])('are set through /proc where call %i of mounting another procfs fails', (nth) => {
    const [key = ''] = keys
    const settings = new SandboxSettings()
    using faults = new SystemCallFaults()

    inSandbox(key, () => {
      faults.failAt(nth)
      settings.write([{ path: TTL, value: '7' }])
    })

    expect(faults.failed).toMatch(/^fs/)
    expect(ttlOf(key)).toBe('7')
    expect(countDescriptors()).toBe(before)
  })

  it('leave nothing open when there are none', () => {
    new SandboxSettings().write([])

    expect(countDescriptors()).toBe(before)
  })
})
