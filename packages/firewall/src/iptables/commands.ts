import { spawn } from 'node:child_process'
import type { AddressFamily } from '@net/types'
import { FirewallNotPermittedError, IptablesFailedError, IptablesMissingError } from '../errors.ts'

const commands = { 4: 'iptables', 6: 'ip6tables' } as const
/** What a program says of its failure is kept up to that length. */
const MAX_WORDS = 1_000
/** Half a million rules. What lists more is not listened to. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

/** Where packet rules are read and written by the programs of iptables. */
export interface IptablesCommands {
  /** What `iptables-save` lists. @throws IptablesMissingError, IptablesFailedError */
  readonly save: (family: AddressFamily) => Promise<string>
  /** Has `iptables-restore` carry out `text`, and leave alone what it does not name. */
  readonly restore: (family: AddressFamily, text: string) => Promise<void>
}

/** The programs of the host, whichever variant of iptables they are. */
export const iptablesCommands: IptablesCommands = {
  save: (family) => runProgram(`${commands[family]}-save`, [], ''),
  restore: async (family, text) => {
    // The lock of the old xtables is waited for.
    await runProgram(`${commands[family]}-restore`, ['--noflush', '--wait'], text)
  },
}

/** Runs a program that reads `input`, and says what it wrote. @throws IptablesMissingError, IptablesFailedError */
export function runProgram(command: string, args: readonly string[], input: string): Promise<string> {
  const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` }
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: 'pipe' })
    const output: Buffer[] = []
    let words = ''
    let room = MAX_OUTPUT_BYTES
    child.stdout.on('data', (bytes: Buffer) => {
      room -= bytes.length
      if (room >= 0) output.push(bytes)
      else child.kill('SIGKILL')
    })
    child.stderr.on('data', (bytes: Buffer) => (words = `${words}${bytes.toString()}`.slice(0, MAX_WORDS)))
    // It may end before it has read all: its status says why.
    child.stdin.on('error', () => undefined)
    child.once('error', (cause) => {
      reject(new IptablesMissingError(command, cause))
    })
    child.once('close', (status) => {
      if (room < 0) reject(new IptablesFailedError(command, status, `more than ${MAX_OUTPUT_BYTES} bytes of output`))
      else if (status === 0) resolve(Buffer.concat(output).toString())
      else reject(failure(command, status, words.trim()))
    })
    child.stdin.end(input)
  })
}

function failure(command: string, status: number | null, words: string): Error {
  const error = new IptablesFailedError(command, status, words)
  return /permission denied|must be root/i.test(words) ? new FirewallNotPermittedError(error) : error
}
