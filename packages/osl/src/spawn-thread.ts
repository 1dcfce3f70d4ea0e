/** The thread that starts programs: what it changes about itself for them, no other thread of the process sees. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { HostView, limitPrograms } from '@net/netlink-ffi'
import { inSandbox } from './sandbox-namespace.ts'
import type { Failure, Order, Program, Report, ThreadData } from './spawn/messages.ts'

const host = HostView.detachThread()
limitPrograms((workerData as ThreadData).capabilities)
const children = new Map<number, ChildProcess>()

parentPort?.on('message', (order: Order) => {
  if (order.kind === 'kill') children.get(order.id)?.kill(order.signal)
  else start(order)
})

function start({ id, program, stdio }: Order & { readonly kind: 'start' }): void {
  try {
    const child = host.inOwn(program.view, () => inSandbox(program.key, () => startHere(program, stdio)))
    child.once('error', (error) => {
      children.delete(id)
      report({ kind: 'failed', id, failure: failureOf(error) })
    })
    child.once('exit', (code, signal) => {
      children.delete(id)
      report({ kind: 'exited', id, code, signal })
    })
    if (child.pid === undefined) return
    children.set(id, child)
    report({ kind: 'started', id, pid: child.pid })
  } catch (error) {
    report({ kind: 'failed', id, failure: failureOf(error) })
  }
}

function startHere({ command, args, ...options }: Program, stdio: readonly (number | 'ignore')[]): ChildProcess {
  const { uid, gid, env, cwd } = options
  openUnprivileged()
  return spawn(command, args, { uid, gid, env: { ...env }, cwd, stdio: [...stdio] })
}

/** Without capabilities, programs can still listen on every port of their own network, and ping: as Docker's do. */
function openUnprivileged(): void {
  replaceSetting('/proc/sys/net/ipv4/ip_unprivileged_port_start', '1024', '0')
  replaceSetting('/proc/sys/net/ipv4/ping_group_range', '1\t0', '0\t2147483647')
}

/** Writes a setting that nobody has written before. */
function replaceSetting(path: string, initial: string, wanted: string): void {
  try {
    if (readFileSync(path, 'utf8').trim() === initial) writeFileSync(path, wanted)
  } catch {
    // What the kernel does not have, it does not forbid either.
  }
}

function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { message: String(error), properties: {} }
  const properties = Object.entries(error).filter(([, value]) => ['string', 'number'].includes(typeof value))
  return { message: error.message, properties: Object.fromEntries(properties) }
}

function report(message: Report): void {
  parentPort?.postMessage(message)
}
