import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Sandbox } from '@net/libnetwork'

let count = 0

/** Where to ask what. */
export interface Load {
  readonly server: string
  readonly port: number
  /** Path of the network namespace from which it is asked. @defaultValue the sandbox's */
  readonly namespace?: string
  /** Lines of dnsperf's input: `web A`. */
  readonly questions: readonly string[]
  readonly seconds: number
  readonly tcp?: boolean
  /** @defaultValue 8 */
  readonly clients?: number
  /** Questions that wait for an answer, at most. @defaultValue 64 */
  readonly outstanding?: number
  /** @defaultValue as many as there are answers */
  readonly perSecond?: number
  /** Waits for no other program, so that the time measured is that of answers alone. */
  readonly isUrgent?: boolean
}

/** What became of it. */
export interface LoadResult {
  readonly perSecond: number
  readonly lost: number
  /** Milliseconds in which 99 of 100 questions were answered; where it was asked for. */
  readonly p99Ms: number | undefined
}

/** Asks as fast as it goes, from inside the sandbox. `withLatency` has each answer timed, which slows the asker. */
export async function ask(
  sandbox: Sandbox,
  folder: string,
  load: Load,
  { withLatency = false }: { readonly withLatency?: boolean } = {},
): Promise<LoadResult> {
  const file = join(folder, `questions${count++}`)
  writeFileSync(file, load.questions.map((line) => `${line}\n`).join(''))
  const where = ['-s', load.server, '-p', String(load.port), '-m', load.tcp === true ? 'tcp' : 'udp']
  const { clients = 8, outstanding = 64, perSecond } = load
  const pace = [
    ...['-c', String(clients), '-q', String(outstanding)],
    ...(perSecond === undefined ? [] : ['-Q', String(perSecond)]),
  ]
  const args = [...where, '-d', file, '-l', String(load.seconds), ...pace, ...(withLatency ? ['-v'] : [])]
  const child = startDnsperf(sandbox, args, load)
  const output: string[] = []
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk.toString()))
  await once(child, 'close')
  const text = output.join('')
  const number = (label: string): number => Number(new RegExp(`${label}: +([0-9.]+)`).exec(text)?.[1] ?? Number.NaN)
  return { perSecond: number('Queries per second'), lost: number('Queries lost'), p99Ms: p99Of(text) }
}

/** What a program that was started has, whoever started it. */
interface Started {
  readonly stdout: NodeJS.ReadableStream | null
  readonly stderr: NodeJS.ReadableStream | null
}

function startDnsperf(sandbox: Sandbox, args: readonly string[], load: Load): Started & NodeJS.EventEmitter {
  const stdio: ('ignore' | 'pipe')[] = ['ignore', 'pipe', 'pipe']
  if (load.namespace !== undefined) return spawn('nsenter', [`--net=${load.namespace}`, 'dnsperf', ...args], { stdio })
  if (load.isUrgent !== true) return sandbox.spawn('dnsperf', args, { stdio })
  return sandbox.spawn('chrt', ['--fifo', '1', 'dnsperf', ...args], { stdio, capabilities: ['SYS_NICE'] })
}

function p99Of(text: string): number | undefined {
  const seconds = [...text.matchAll(/^> \S+ .* ([0-9.]+)$/gm)].map((match) => Number(match[1])).sort((a, b) => a - b)
  const at = seconds[Math.floor(seconds.length * 0.99)]
  return at === undefined ? undefined : at * 1000
}
