import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createNamespace, deleteNamespace, RouteSocket, setLink } from '@net/netlink-ffi'

/** A network namespace with its loopback interface up, as a container has. */
export interface TestSandbox extends Disposable {
  /** Path of the namespace. */
  readonly key: string
  /** Runs a program inside; what it prints. */
  run(command: string, args: readonly string[]): Promise<string>
}

const exec = promisify(execFile)

/** Makes a sandbox, which disposing takes away. */
export function createTestSandbox(): TestSandbox {
  const folder = mkdtempSync(join(tmpdir(), 'resolver-'))
  const key = join(folder, 'net')
  createNamespace(key, () => {
    using routes = RouteSocket.open()
    routes.apply(setLink('lo', { up: true }))
  })
  return {
    key,
    run: async (command, args) => (await exec('nsenter', [`--net=${key}`, command, ...args])).stdout,
    [Symbol.dispose]: () => {
      deleteNamespace(key)
      rmSync(folder, { recursive: true })
    },
  }
}
