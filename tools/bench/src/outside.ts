import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import type { EventEmitter } from 'node:events'
import { createNamespace, deleteNamespace, inNamespaceAt } from '@net/netlink-ffi'

/** A program of a sandbox, or of this process. */
export type Running = Pick<ChildProcess, 'stdout' | 'kill'> & EventEmitter

/** Starts a program somewhere. */
export type Start = (command: string, ...args: string[]) => Running

/** Starts programs in the namespace at a path. */
export function startAt(path: string): Start {
  return (command, ...args) => inNamespaceAt(path, () => spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] }))
}

/** A machine beside the host: 192.0.2.2, the host being 192.0.2.1. */
export class Outside implements AsyncDisposable {
  readonly start: Start
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
    this.start = startAt(path)
  }

  /** Beside the host that the calling thread is on, or the one at `host`. */
  static open(path: string, host?: string): Outside {
    createNamespace(path, () => undefined)
    const onHost = (...args: string[]): void => {
      ip(host, ...args)
    }
    onHost('link', 'add', 'to-outside', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', path)
    onHost('addr', 'add', '192.0.2.1/24', 'dev', 'to-outside')
    onHost('link', 'set', 'to-outside', 'up')
    ip(path, 'addr', 'add', '192.0.2.2/24', 'dev', 'eth0')
    ip(path, 'link', 'set', 'eth0', 'up')
    return new Outside(path)
  }

  [Symbol.asyncDispose](): Promise<void> {
    deleteNamespace(this.#path)
    return Promise.resolve()
  }
}

/** `ip`, in the namespace at a path or where the calling thread is. */
export function ip(path: string | undefined, ...args: readonly string[]): void {
  if (path === undefined) execFileSync('ip', args)
  else execFileSync('nsenter', [`--net=${path}`, 'ip', ...args])
}
