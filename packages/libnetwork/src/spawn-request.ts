import type { Stream } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { capabilityNumbers, type Capability } from '@net/netlink-ffi'
import type { Program, StartOptions, Stdio } from '@net/osl'
import { InvalidRequestError } from './errors.ts'

/** What a program has as one of its descriptors. */
export type SpawnStdio = 'pipe' | 'ignore' | 'inherit' | number | Stream | null | undefined

/** How a sandbox starts a program: as `child_process.spawn` does. */
export interface SpawnInSandboxOptions {
  /** @defaultValue this process' */
  readonly uid?: number | undefined
  /** @defaultValue this process' */
  readonly gid?: number | undefined
  /** @defaultValue this process' environment */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** @defaultValue this process' working directory */
  readonly cwd?: string | URL | undefined
  /** One for all three, or one each. @defaultValue 'pipe' */
  readonly stdio?: 'pipe' | 'ignore' | 'inherit' | readonly SpawnStdio[] | undefined
  /** Ends it with SIGTERM; its event `error` says so. */
  readonly signal?: AbortSignal | undefined
  /** What it may do of what only root may, by the names of capabilities(7) without `CAP_`. @defaultValue none */
  readonly capabilities?: readonly Capability[] | undefined
}

/** The program that is meant, and how to start it. @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export function parseSpawn(
  command: string,
  args: readonly string[],
  options: SpawnInSandboxOptions,
): { program: Omit<Program, 'key' | 'view'>; start: StartOptions } {
  const { uid, gid, env = process.env, cwd = process.cwd(), stdio = 'pipe', signal, capabilities = [] } = options
  if (typeof command !== 'string' || command === '') throw refused('command', 'expected a program', command)
  for (const [member, text] of [['command', command], ...args.map((arg) => ['args', arg] as const)] as const) {
    if (typeof text !== 'string' || text.includes('\0')) throw refused(member, 'expected a text without NUL', text)
  }
  for (const [member, id] of [
    ['uid', uid],
    ['gid', gid],
  ] as const) {
    if (id !== undefined && !(Number.isInteger(id) && id >= 0 && id < 2 ** 32)) {
      throw refused(member, 'expected a whole number from 0', id)
    }
  }
  for (const name of capabilities) {
    if (!Object.hasOwn(capabilityNumbers, name)) throw refused('capabilities', 'expected names such as NET_RAW', name)
  }
  const sorts = typeof stdio === 'string' ? [stdio, stdio, stdio] : Array.from(stdio)
  while (sorts.length < 3) sorts.push('pipe')
  return {
    program: { command, args, uid, gid, env, cwd: cwd instanceof URL ? fileURLToPath(cwd) : cwd },
    start: { stdio: sorts.map((sort, at) => parseStdio(sort, at)), signal, capabilities },
  }
}

function parseStdio(sort: SpawnStdio, at: number): Stdio {
  if (sort === undefined || sort === null) return at < 3 ? 'pipe' : 'ignore'
  if (sort === 'pipe' || sort === 'ignore' || sort === 'inherit') return sort
  const fd = typeof sort === 'number' ? sort : descriptorOf(sort)
  if (fd !== undefined && Number.isInteger(fd) && fd >= 0) return fd
  throw refused('stdio', "expected 'pipe', 'ignore', 'inherit', a descriptor or a stream that has one", sort)
}

/** The descriptor of a stream that is open on one. */
function descriptorOf(stream: unknown): number | undefined {
  const { fd, _handle: handle } = stream as { fd?: unknown; _handle?: { fd?: unknown } | null }
  const found = fd ?? handle?.fd
  return typeof found === 'number' ? found : undefined
}

function refused(member: string, problem: string, value: unknown): InvalidRequestError {
  const given =
    typeof value === 'string' ? JSON.stringify(value) : typeof value === 'number' ? String(value) : typeof value
  return new InvalidRequestError('program', member, `${problem}, got ${given}`)
}
