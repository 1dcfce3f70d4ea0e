import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { ProxyStartError, ProxyTimeoutError } from './errors.ts'

/** From the sources and from what is built of them, which lie in folders side by side. */
const PROGRAM = fileURLToPath(new URL('../dist/main.js', import.meta.url))
/** The descriptor that a proxy says on whether it serves. */
const STATUS = 3

/**
 * Starts a proxy process in the calling thread's network namespace, and resolves when it serves. It is in a session of
 * its own and has nothing of this process open: it goes on when this one ends.
 *
 * @throws `ERR_PROXY_START`, `ERR_PROXY_TIMEOUT`
 */
export async function startProcess(args: readonly string[], { timeoutMs }: { timeoutMs: number }): Promise<void> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    detached: true,
    // What changes how Node runs was said of this process.
    env: {},
    cwd: '/',
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  const failed = once(child, 'error').then(([error]: unknown[]) => {
    throw new ProxyStartError(error instanceof Error ? error.message : String(error), error)
  })
  child.unref()
  const timeout = AbortSignal.timeout(timeoutMs)
  const status = await Promise.race([failed, statusOf(child), once(timeout, 'abort').then(() => undefined)])
  if (status === '0\n') return
  child.kill('SIGKILL')
  if (status === undefined) throw new ProxyTimeoutError(timeoutMs)
  throw new ProxyStartError(status.replace(/^1\n/, '').trim() || 'it ended without a word')
}

function statusOf(child: ChildProcess): Promise<string> {
  return text(child.stdio[STATUS] as Readable)
}
