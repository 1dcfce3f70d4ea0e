import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The hook as it is installed: built. */
export const HOOK = fileURLToPath(new URL('../dist/net-setkey.js', import.meta.url))

/** What came of a program. */
export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. */
export async function outcomeOf(command: string, args: readonly string[], input = ''): Promise<Outcome> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      texts[name] += chunk.toString()
    })
  }
  // A program that reads nothing may be gone before it is told.
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...texts }
}

/** What is run in a container, with which hook and which files of the host's mounted. */
export interface BundleOptions {
  readonly args: readonly string[]
  readonly hook: readonly string[]
  readonly files: Readonly<Record<string, string>>
}

const NAMESPACES = ['pid', 'network', 'ipc', 'uts', 'mount']

/** An OCI bundle whose root has nothing but busybox. Disposing it removes it. */
export class Bundle implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'bundle-'))

  constructor({ args, hook, files }: BundleOptions) {
    const root = join(this.folder, 'rootfs')
    for (const name of ['bin', 'proc', 'etc', 'dev']) mkdirSync(join(root, name), { recursive: true })
    copyFileSync('/usr/bin/busybox', join(root, 'bin/busybox'))
    const mounts = Object.entries(files).map(([destination, source]) => {
      writeFileSync(join(root, destination), '')
      return { destination, source, type: 'bind', options: ['bind', 'ro'] }
    })
    const config = {
      ociVersion: '1.0.2',
      process: { terminal: false, user: { uid: 0, gid: 0 }, args: ['/bin/busybox', ...args], cwd: '/', env: [] },
      root: { path: 'rootfs' },
      hostname: 'box',
      mounts: [{ destination: '/proc', type: 'proc', source: 'proc' }, ...mounts],
      hooks: { createRuntime: [{ path: process.execPath, args: ['node', HOOK, ...hook] }] },
      linux: { namespaces: NAMESPACES.map((type) => ({ type })) },
    }
    writeFileSync(join(this.folder, 'config.json'), JSON.stringify(config))
  }

  /** Runs it in a container of that name, to its end. */
  run(name: string): Promise<Outcome> {
    return outcomeOf('runc', ['--root', join(this.folder, 'state'), 'run', '--bundle', this.folder, name])
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true })
  }
}
