import { existsSync, mkdtempSync, readlinkSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { adoptNamespace, createNamespace, deleteNamespace, inNamespaceAt } from '../src/index.ts'
import { libc } from '../src/libc.ts'
import { describeKernel, enterFreshHost } from '../src/testing/index.ts'

await enterFreshHost()

const folder = mkdtempSync(join(tmpdir(), 'namespace-'))
const [there, other] = [join(folder, 'there'), join(folder, 'other')]
const sound = { ...libc() }
const whereAmI = (): string => readlinkSync('/proc/thread-self/ns/net')

/** The nth change of namespace is made, and throws what somebody else left pending. */
function throwFrom(nth: number): void {
  let left = nth
  const thrown = (result: number): number => {
    if (--left === 0) throw new RangeError('of somebody else')
    return result
  }
  Object.assign(libc(), {
    setns: (fd: number, type: number) => thrown(sound.setns(fd, type)),
    unshare: (flags: number) => thrown(sound.unshare(flags)),
  })
}

beforeAll(() => {
  createNamespace(there, () => undefined)
})
afterEach(() => {
  Object.assign(libc(), sound)
})
afterAll(() => {
  deleteNamespace(there)
  rmSync(folder, { recursive: true })
})

describeKernel('a namespace', () => {
  /** NSFS_MAGIC, linux/magic.h */
  const isAt = (path: string): boolean => statfsSync(path).type === 0x6e736673

  it.each([
    ['one that is made', (work: () => boolean) => createNamespace(other, work)],
    ["somebody else's", (work: () => boolean) => adoptNamespace(there, other, work)],
  ])('is at its path only once what is to be done in it is done: %s', (_, make) => {
    expect(make(() => isAt(other))).toBe(false)

    expect(isAt(other)).toBe(true)
    deleteNamespace(other)
  })
})

describeKernel('a thread that goes to a namespace', () => {
  it.each([
    [
      'inNamespaceAt',
      () => {
        inNamespaceAt(there, () => undefined)
      },
    ],
    [
      'createNamespace',
      () => {
        createNamespace(other, () => undefined)
      },
    ],
    [
      'adoptNamespace',
      () => {
        adoptNamespace(there, other, () => undefined)
      },
    ],
  ])('is home again though the call that brought it there threw: %s', (_, go) => {
    const home = whereAmI()
    throwFrom(1)

    expect(go).toThrow('of somebody else')

    expect(whereAmI()).toBe(home)
    expect(existsSync(other)).toBe(false)
  })

  it('is home again though the call that brings it home threw', () => {
    const home = whereAmI()
    throwFrom(2)

    expect(inNamespaceAt(there, whereAmI)).not.toBe(home)

    expect(whereAmI()).toBe(home)
  })
})
