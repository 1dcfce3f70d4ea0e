import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { RouteSocket, setLink } from '@net/netlink-ffi'
import { exitStatusOf, handled } from './interruptions.ts'
import { explainRefusal, type Refusal } from './refusal.ts'

/** Namespaces of the host: network and mounts, and for who is not root, users. */
const asRoot = ['--net', '--mount']
const asUser = ['--user', '--map-root-user', ...asRoot]

/** There can be no host to throw away; the message says what to do. */
export class NoHostError extends Error {}

/**
 * Starts this program again in namespaces of its own, that nothing of the machine is in, and resolves with
 * its exit status. Signals are handed on, and waited out.
 *
 * @throws NoHostError
 */
export async function runInThrowAwayHost(args: readonly string[]): Promise<number> {
  const flags = await chooseFlags()
  const received: NodeJS.Signals[] = []
  let forward = (signal: NodeJS.Signals): void => {
    received.push(signal)
  }
  const handle = (signal: NodeJS.Signals): void => {
    forward(signal)
  }
  for (const signal of handled) process.on(signal, handle)

  const folder = makeFolder()
  try {
    const [script = ''] = process.argv.slice(1)
    const child = spawn(
      'unshare',
      [...flags, process.execPath, ...process.execArgv, script, ...args, '--inside', folder],
      // A session of its own: Ctrl-C reaches us alone, and is handed on once. The channel tells it of our death.
      { stdio: ['inherit', 'inherit', 'inherit', 'ipc'], detached: true },
    )
    forward = (signal) => child.kill(signal)
    received.forEach(forward)
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return code ?? exitStatusOf(signal ?? 'SIGKILL')
  } finally {
    // It is gone already, unless the demo was killed. What was mounted in it went with the mount namespace.
    rmSync(folder, { recursive: true, force: true })
    for (const signal of handled) process.off(signal, handle)
  }
}

/** A folder for files of the demo that nobody else uses. */
export function makeFolder(): string {
  const { XDG_RUNTIME_DIR: runtimeDirectory = '' } = process.env
  const candidates = [runtimeDirectory, tmpdir()].filter((path) => path !== '')
  for (const path of candidates.slice(0, -1)) {
    try {
      return mkdtempSync(join(path, 'net-demo-'))
    } catch {
      // The variable of another user, left over from `su`: the next one will do.
    }
  }
  return mkdtempSync(join(candidates.at(-1) ?? '/tmp', 'net-demo-'))
}

/** What a fresh network namespace lacks. */
export function bringLoopbackUp(): void {
  using routes = RouteSocket.open()
  routes.apply(setLink('lo', { up: true }))
}

/** Whether the host is in a user namespace, seen from inside: not all user ids are mapped. */
export function isInUserNamespace(): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'))
}

/** Root in a container may not be allowed what root is: it then does as an ordinary user does. */
async function chooseFlags(): Promise<readonly string[]> {
  const refusals: Refusal[] = []
  for (const flags of process.getuid?.() === 0 ? [asRoot, asUser] : [asUser]) {
    const refusal = await tryFlags(flags)
    if (refusal === undefined) return flags
    refusals.push(refusal)
  }
  throw new NoHostError(explainRefusal(refusals.at(-1) ?? { missing: false, message: '' }, readSetting))
}

async function tryFlags(flags: readonly string[]): Promise<Refusal | undefined> {
  try {
    await promisify(execFile)('unshare', [...flags, 'true'])
    return undefined
  } catch (error) {
    const { code, stderr = '' } = error as { readonly code?: unknown; readonly stderr?: string }
    return { missing: code === 'ENOENT', message: stderr.trim() }
  }
}

function readSetting(path: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${path}`, 'utf8').trim()
  } catch {
    return undefined // this kernel does not have it
  }
}
