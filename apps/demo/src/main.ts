#!/usr/bin/env node
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isatty } from 'node:tty'
import { parseArguments, type Choices } from './arguments.ts'
import { runDemo } from './demo.ts'
import { exitStatusOf, Interruptions } from './interruptions.ts'
import { jsonOutput } from './json-output.ts'
import { describeAccess, describeEnd, waitForEnd, type Access } from './linger.ts'
import type { Output, Result } from './report.ts'
import type { Place } from './stage.ts'
import { textOutput, wantsColours } from './text-output.ts'
import { bringLoopbackUp, isInUserNamespace, makeFolder, NoHostError, runInThrowAwayHost } from './throw-away-host.ts'

const stdout = (text: string): void => {
  process.stdout.write(text)
}
const stderr = (text: string): void => {
  process.stderr.write(text)
}

/** Of the standard streams. A terminal that has hung up is none any more. */
const terminals = (): number[] => [0, 1, 2].filter((fd) => isatty(fd))
const terminalsAtStart = terminals()
const status = await main(process.argv.slice(2))
process.exitCode = status
// The channel to who started us would keep the program alive.
if (process.connected) process.disconnect()
// Node aborts when it cannot put a terminal back that is gone: end as other programs do whose terminal is.
if (terminals().length < terminalsAtStart.length) process.kill(process.pid, 'SIGHUP')

async function main(args: readonly string[]): Promise<number> {
  const parsed = parseArguments(args, { version: readVersion(), stdout, stderr })
  if (parsed.kind === 'end') return parsed.status
  const { choices } = parsed
  const { host, inside } = choices
  try {
    if (inside !== undefined) return await demonstrateInside(inside, choices)
    if (host) return await demonstrateOnMachine(choices)
    return await runInThrowAwayHost(args)
  } catch (error) {
    if (!(error instanceof NoHostError)) throw error
    return refuse(error, choices)
  }
}

/** In the throw-away host. Its maker may have been killed, so the folder goes from here already. */
async function demonstrateInside(folder: string, choices: Choices): Promise<number> {
  // Else somebody has found the option, and this may well be the machine's own network.
  if (process.send === undefined) throw new NoHostError('--inside is not for you')
  bringLoopbackUp()
  const access = { kind: 'throw-away', pid: process.pid, userNamespace: isInUserNamespace() } as const
  try {
    return await demonstrate({ folder, runtimeDirectory: join(folder, 'net') }, access, choices)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function demonstrateOnMachine(choices: Choices): Promise<number> {
  if (process.getuid?.() !== 0) {
    throw new NoHostError("--host changes this machine's own network: run it as root, or leave the option out")
  }
  const folder = makeFolder()
  try {
    return await demonstrate({ folder, runtimeDirectory: '/run/net' }, { kind: 'machine' }, choices)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function demonstrate(place: Place, access: Access, { json, keep }: Choices): Promise<number> {
  const colours = wantsColours(process.stdout.isTTY, process.env)
  const output = json ? jsonOutput(stdout, stderr) : textOutput(stdout, { colours })
  using interruptions = listen(output)
  const { signal } = interruptions
  const result = await runDemo(place, {
    output,
    signal,
    linger: keep
      ? async (key, published) => {
          const isTerminal = process.stdin.isTTY
          output.notice(['', ...describeAccess(access, key, published)].join('\n'))
          output.notice(describeEnd(isTerminal, process.pid))
          await waitForEnd(interruptions)
        }
      : undefined,
  })
  output.result(result, interruptions.by === undefined ? 'complete' : 'interrupted')
  return interruptions.by === undefined ? statusOf(result) : exitStatusOf(interruptions.by)
}

/** Listens for signals, and for the end of whoever reads the output. */
function listen(output: Output): Interruptions {
  const interruptions = Interruptions.listen(() => {
    output.notice('The teardown is under way; it ends by itself.')
  })
  interruptions.signal.addEventListener('abort', () => {
    output.notice(`\nInterrupted by ${interruptions.by ?? ''}: tearing down.`)
  })
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', () => {
      if (interruptions.by === undefined) interruptions.interrupt('SIGPIPE')
    })
  }
  return interruptions
}

function statusOf({ checks, leftovers }: Result): number {
  return checks.every(({ ok }) => ok) && leftovers.length === 0 ? 0 : 1
}

function refuse(error: NoHostError, { json }: Choices): number {
  stderr(`net-demo: ${error.message}\n`)
  const check = { name: 'there is a host to run in', ok: false, detail: error.message }
  if (json) jsonOutput(stdout, stderr).result({ checks: [check], timings: [], leftovers: [] }, 'complete')
  return 1
}

function readVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    readonly version: string
  }
  return version
}
