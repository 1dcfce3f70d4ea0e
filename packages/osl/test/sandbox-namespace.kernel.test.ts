import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DescriptorShortage, describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterAll, expect, it } from 'vitest'
import { isSandbox } from '../src/index.ts'
import { createSandboxNamespace, deleteSandboxNamespace } from '../src/sandbox-namespace.ts'

await enterFreshHost()

const folder = mkdtempSync(join(tmpdir(), 'osl-namespace-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

describeKernel('whether a sandbox is there', () => {
  const key = join(folder, 'one')

  it('is so from when its namespace is made until it is let go', () => {
    expect(isSandbox(key)).toBe(false)
    createSandboxNamespace(key)
    expect(isSandbox(key)).toBe(true)
    deleteSandboxNamespace(key)
    expect([isSandbox(key), existsSync(key)]).toEqual([false, false])
  })

  it('is not so where its namespace was unmounted, and where something else is', () => {
    const empty = join(folder, 'empty')
    writeFileSync(empty, '')

    expect(isSandbox(empty)).toBe(false)
    expect(isSandbox(join(empty, 'below'))).toBe(false)
    expect(isSandbox(folder)).toBe(false)
  })

  it('is not answered while it cannot be found out', () => {
    createSandboxNamespace(key)
    try {
      using _shortage = new DescriptorShortage()
      expect(() => isSandbox(key)).toThrow('EMFILE')
    } finally {
      deleteSandboxNamespace(key)
    }
  })
})
