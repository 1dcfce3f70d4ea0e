import { execFileSync, spawnSync } from 'node:child_process'
import { enterNewNamespace, readLegacyFilter } from '../src/index.ts'
import { describeKernel } from '../src/testing/index.ts'
import { beforeEach, expect, it } from 'vitest'
import { stat } from 'node:fs/promises'

const commands = { 4: 'iptables-legacy', 6: 'ip6tables-legacy' } as const
const isInstalled = spawnSync(commands[4], ['--version'], { stdio: 'ignore' }).status === 0

/** The rules of FORWARD, its policy at the end. */
function forwardOf(family: 4 | 6): unknown[] {
  const { rules, forward, policy } = readLegacyFilter(family)!
  return rules
    .filter(({ offset }) => offset >= forward && offset <= policy)
    .map(({ isForAll, target }) => ({ isForAll, target }))
}

describeKernel('the filter table of the old xtables', () => {
  beforeEach(async () => {
    // The pool's threads are born by the first asynchronous file operation: let that be at home.
    await stat('/')
    enterNewNamespace()
  })

  it.each([4, 6] as const)('is not there, and not made, where nobody uses it: IPv%i', (family) => {
    expect(readLegacyFilter(family)).toBeUndefined()
    expect(readLegacyFilter(family)).toBeUndefined()
  })

  it.runIf(isInstalled).each([4, 6] as const)('is read as it was written: IPv%i', (family) => {
    const iptables = (...args: readonly string[]): void => {
      execFileSync(commands[family], args, { stdio: 'pipe' })
    }
    iptables('-P', 'FORWARD', 'DROP')
    iptables('-N', 'mine')
    iptables('-A', 'mine', '-j', 'RETURN')
    iptables('-A', 'FORWARD', '-i', 'eth0', '-j', 'ACCEPT')
    iptables('-A', 'FORWARD', '-p', 'tcp', '--dport', '80', '-j', 'DROP')
    iptables('-A', 'FORWARD', '-m', 'comment', '--comment', 'all of it', '-j', 'mine')
    iptables('-A', 'FORWARD', '-g', 'mine')
    iptables('-A', 'FORWARD', '-j', 'REJECT')

    const offset = expect.any(Number) as number
    expect(forwardOf(family)).toEqual([
      { isForAll: false, target: { kind: 'accept' } },
      { isForAll: false, target: { kind: 'drop' } },
      { isForAll: true, target: { kind: 'jump', offset } },
      { isForAll: true, target: { kind: 'goto', offset } },
      { isForAll: true, target: { kind: 'extension', name: 'REJECT' } },
      { isForAll: true, target: { kind: 'drop' } },
    ])
  })
})
