import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach } from 'vitest'

/** What can be run as a process of its own. */
const programs = {
  writer: new URL('./writer.ts', import.meta.url),
  'lock-holder': new URL('./lock-holder.ts', import.meta.url),
  holder: new URL('./holder.ts', import.meta.url),
  'gate-holder': new URL('./gate-holder.ts', import.meta.url),
  'lease-holder': new URL('./lease-holder.ts', import.meta.url),
  filler: new URL('./filler.ts', import.meta.url),
  opener: new URL('./opener.ts', import.meta.url),
  reader: new URL('./reader.ts', import.meta.url),
}

type Program = keyof typeof programs

/** The arguments of Node that run a program from the sources. */
function commandOf(program: Program, args: readonly string[]): string[] {
  const hooks = fileURLToPath(new URL('./typescript-child.mjs', import.meta.url))
  return ['--import', hooks, '-C', '@net/source', fileURLToPath(programs[program]), ...args]
}

/** A program that runs as a process of its own, from the sources. */
export interface Child {
  /** What it has printed so far. */
  readonly lines: string[]
  /** The next line. */
  line(): Promise<string>
  kill(): Promise<void>
}

/** Starts a program as a process of its own. */
type StartChild = (program: Program, args: readonly string[]) => Child

/** Starts programs of this folder, and ends after each test those that are left. */
export function children(): StartChild {
  return childrenOf(process.execPath, [])
}

/** Starts programs, each with a PID namespace of its own, as in a container. */
export function childrenInPidNamespaces(): StartChild {
  return childrenOf('unshare', [...IN_PID_NAMESPACE, '--kill-child', process.execPath])
}

const IN_PID_NAMESPACE = ['--pid', '--fork', '--mount-proc']

function childrenOf(file: string, leading: readonly string[]): StartChild {
  const running: Child[] = []
  afterEach(async () => {
    await Promise.all(running.splice(0).map((child) => child.kill()))
  })
  return (program, args) => {
    const command = [...leading, ...commandOf(program, args)]
    const child = start(spawn(file, command, { stdio: ['ignore', 'pipe', 'inherit'] }))
    running.push(child)
    return child
  }
}

/** Runs a program with a small disk of its own in a folder, and returns what it prints. Nothing is left of the disk. */
export function runOnSmallDisk(program: Program, folder: string, size: string): Promise<string> {
  return runOnMount(program, folder, `mount -t tmpfs -o size=${size} none "$0"`)
}

/** Runs a program to which a folder is one of a disk that cannot be written, and returns what it prints. */
export function runOnReadOnlyDisk(program: Program, folder: string): Promise<string> {
  return runOnMount(program, folder, 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"')
}

/** Runs a program with a PID namespace of its own, as in a container, and returns what it prints. */
export async function runInPidNamespace(program: Program, folder: string): Promise<string> {
  const args = [...IN_PID_NAMESPACE, process.execPath, ...commandOf(program, [folder])]
  const { stdout } = await promisify(execFile)('unshare', args)
  return stdout.trim()
}

/** Runs a program that may write files up to a size only, and returns what it prints. */
export async function runWithFileLimit(program: Program, folder: string, bytes: number): Promise<string> {
  // sh counts blocks of 512 bytes; a write beyond the limit is to fail, and not to end the process.
  const shell = `trap '' XFSZ; ulimit -f "$0"; exec "$@"`
  const args = ['-c', shell, String(Math.ceil(bytes / 512)), process.execPath, ...commandOf(program, [folder])]
  const { stdout } = await promisify(execFile)('sh', args)
  return stdout.trim()
}

async function runOnMount(program: Program, folder: string, mount: string): Promise<string> {
  const command = commandOf(program, [folder])
  const shell = `${mount} && exec "$@"`
  const args = ['--mount', 'sh', '-c', shell, folder, process.execPath, ...command]
  const { stdout } = await promisify(execFile)('unshare', args)
  return stdout.trim()
}

function start(child: ChildProcess): Child {
  const lines: string[] = []
  const exit = once(child, 'exit')
  const reader = createInterface(child.stdout!)
  reader.on('line', (line) => lines.push(line))
  const closed = once(reader, 'close')
  return {
    lines,
    line: async () => ((await once(reader, 'line')) as [string])[0],
    kill: async () => {
      child.kill('SIGKILL')
      await Promise.all([exit, closed])
    },
  }
}
