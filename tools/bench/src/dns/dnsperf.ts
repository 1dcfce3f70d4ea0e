import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Sandbox } from '@net/libnetwork'

/** Eight clients with 64 questions outstanding. */
const LOAD = ['-c', '8', '-q', '64']

/** Where to ask what. */
export interface Load {
  readonly server: string
  readonly port: number
  /** Lines of dnsperf's input: `web A`. */
  readonly questions: readonly string[]
  readonly seconds: number
  readonly tcp?: boolean
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
  const file = join(folder, 'questions')
  writeFileSync(file, load.questions.map((line) => `${line}\n`).join(''))
  const where = ['-s', load.server, '-p', String(load.port), '-m', load.tcp === true ? 'tcp' : 'udp']
  const args = [...where, '-d', file, '-l', String(load.seconds), ...LOAD, ...(withLatency ? ['-v'] : [])]
  const child = sandbox.spawn('dnsperf', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const output: string[] = []
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk.toString()))
  await once(child, 'close')
  const text = output.join('')
  const number = (label: string): number => Number(new RegExp(`${label}: +([0-9.]+)`).exec(text)?.[1] ?? Number.NaN)
  return { perSecond: number('Queries per second'), lost: number('Queries lost'), p99Ms: p99Of(text) }
}

function p99Of(text: string): number | undefined {
  const seconds = [...text.matchAll(/^> \S+ .* ([0-9.]+)$/gm)].map((match) => Number(match[1])).sort((a, b) => a - b)
  const at = seconds[Math.floor(seconds.length * 0.99)]
  return at === undefined ? undefined : at * 1000
}
