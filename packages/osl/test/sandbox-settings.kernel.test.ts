import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { countDescriptors } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost, SystemCallFaults } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createSandboxNamespace, deleteSandboxNamespace, inSandbox } from '../src/sandbox-namespace.ts'
import { SysctlError } from '../src/errors.ts'
import { SandboxSettings } from '../src/sandbox-settings.ts'
import * as sysctl from '../src/sysctl.ts'

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

const set = (settings: SandboxSettings, key: string, value: string): void => {
  inSandbox(key, () => {
    settings.write([{ path: TTL, value }])
  })
}

describeKernel('settings of sandboxes', () => {
  it('are those of the sandbox that they are set in, one after the other, and not of the host', async () => {
    const host = readFileSync(`/proc/sys/${TTL}`, 'utf8')
    const settings = new SandboxSettings()

    keys.forEach((key, at) => {
      set(settings, key, String(at + 1))
    })

    expect(keys.map(ttlOf)).toEqual(keys.map((_, at) => String(at + 1)))
    expect(readFileSync(`/proc/sys/${TTL}`, 'utf8')).toBe(host)
    await settings.close()
    expect(countDescriptors()).toBe(before)
  })

  it('are set through one procfs a while, then through another', async () => {
    const [key = ''] = keys
    const settings = new SandboxSettings()
    using calls = new SystemCallFaults()
    const callsToSet = (): number => {
      calls.failAt(Infinity)
      set(settings, key, '7')
      return calls.count
    }

    const counts = keys.map(callsToSet)

    const [few, many] = [Math.min(...counts), Math.max(...counts)]
    // Three of them mount.
    expect(many).toBe(few + 3)
    expect(counts.flatMap((count, at) => (count === many ? at : []))).toEqual([0, 32, 64])
    await settings.close()
  })

  it.each([1, 2, 3])('are set through /proc a while where call %i of mounting another fails', async (nth) => {
    const [key = '', other = ''] = keys
    const settings = new SandboxSettings()
    using faults = new SystemCallFaults()

    inSandbox(key, () => {
      faults.failAt(nth)
      settings.write([{ path: TTL, value: '7' }])
    })
    expect(faults.failed).toMatch(/^fs/)
    faults.failAt(Infinity)
    set(settings, other, '8')

    // One to enter the sandbox, the way home does not count: nothing is mounted.
    expect(faults.count).toBe(1)
    expect([key, other].map(ttlOf)).toEqual(['7', '8'])
    expect(countDescriptors()).toBe(before)
    await settings.close()
  })

  it('are set through /proc where another may be mounted and not be used', async () => {
    const [key = ''] = keys
    const settings = new SandboxSettings()
    // As a profile of AppArmor does it to what is mounted nowhere.
    const forbid = vi.spyOn(sysctl, 'writeSysctls').mockImplementationOnce((_, proc) => {
      expect(proc).toMatch(/^\/proc\/self\/fd\//)
      throw new SysctlError(TTL, '7', Object.assign(new Error('EACCES'), { code: 'EACCES' }))
    })

    set(settings, key, '7')

    expect(forbid).toHaveBeenCalledTimes(2)
    expect(ttlOf(key)).toBe('7')
    await settings.close()
    expect(countDescriptors()).toBe(before)
  })

  it('are refused as they are anywhere: one that there is not, and a value that it cannot have', async () => {
    const [key = ''] = keys
    const settings = new SandboxSettings()
    const write = (path: string, value: string) => () => {
      inSandbox(key, () => {
        settings.write([{ path, value }])
      })
    }

    expect(write('net/ipv4/nothing', '1')).toThrow(/^could not set net\.ipv4\.nothing to 1: ENOENT/)
    expect(write(TTL, '1000')).toThrow(/^could not set net\.ipv4\.ip_default_ttl to 1000: EINVAL/)
    await settings.close()
  })

  it('are set no more once that is closed, and leave nothing open when there were none', async () => {
    const settings = new SandboxSettings()
    settings.write([])
    await settings.close()
    await settings.close()

    expect(() => {
      settings.write([{ path: TTL, value: '7' }])
    }).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }))
    expect(countDescriptors()).toBe(before)
  })
})
