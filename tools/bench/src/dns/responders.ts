import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Sandbox } from '@net/libnetwork'
import type { DebianPackage } from '../peers/install.ts'
import { pause } from '../measure.ts'

/** Somebody who answers, and where. */
export interface DnsServer {
  readonly name: string
  readonly server: string
  readonly port: number
  /** Path of the network namespace from which it is asked. @defaultValue the sandbox's */
  readonly namespace?: string
  /** Whether it knows all names of the network, or `name0` alone. @defaultValue true */
  readonly knowsAll?: boolean
  /** Processor time used so far, in microseconds; undefined where it is not known. */
  cpuUs(): number | undefined
  close(): Promise<void>
}

/** The same file from the sources and from what is built of them, which lie in folders side by side. */
const SOURCE = fileURLToPath(new URL('../src/dns/bare-responder.c', import.meta.url))
const AARDVARK = '/usr/lib/podman/aardvark-dns'
const PORT = 5300

/** What asks, and the peer. */
export function dnsTools(withPeers: boolean): DebianPackage[] {
  return [
    { path: '/usr/bin/dnsperf', name: 'dnsperf' },
    ...(withPeers ? [{ path: AARDVARK, name: 'aardvark-dns' }] : []),
  ]
}

/** Where the resolver of a sandbox is asked. */
export function ownServer(): DnsServer {
  return {
    name: 'ours',
    server: '127.0.0.11',
    port: 53,
    cpuUs: () => {
      const { user, system } = process.cpuUsage()
      return user + system
    },
    close: () => Promise.resolve(),
  }
}

/** The floor, in C, inside the sandbox; undefined where there is no compiler. */
export async function bareServer(sandbox: Sandbox, folder: string, port = PORT): Promise<DnsServer | undefined> {
  const program = join(folder, 'bare-responder')
  if (spawnSync('cc', ['-O2', '-o', program, SOURCE], { stdio: 'ignore' }).status !== 0) return undefined
  const child = sandbox.spawn(program, ['127.0.0.1', String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  if (child.stdout !== null) await once(child.stdout, 'data')
  return {
    name: 'bare C',
    server: '127.0.0.1',
    port,
    cpuUs: () => cpuOf(child.pid),
    close: async () => {
      child.kill()
      await once(child, 'close')
    },
  }
}

/** Podman's, at the gateway of the network, with the same names. */
export async function aardvarkServer(
  folder: string,
  gateway: string,
  names: readonly { readonly name: string; readonly address: string }[],
): Promise<DnsServer> {
  const config = join(folder, 'aardvark')
  mkdirSync(config)
  const lines = names.map(({ name, address }, at) => `${at.toString(16).padStart(64, '0')} ${address}  ${name}`)
  writeFileSync(join(config, 'bench'), `${[gateway, ...lines].join('\n')}\n`)
  const child: ChildProcess = spawn(AARDVARK, ['--config', config, '--port', String(PORT), 'run'], { stdio: 'ignore' })
  const pidFile = join(config, 'aardvark.pid')
  for (let tries = 0; !existsSync(pidFile) && tries < 50; tries++) await pause(100)
  await pause(300)
  const pid = Number(readFileSync(pidFile, 'utf8'))
  return {
    name: 'aardvark-dns',
    server: gateway,
    port: PORT,
    cpuUs: () => cpuOf(pid),
    close: async () => {
      process.kill(pid, 'SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    },
  }
}

/** What all threads of a process have used of the processors. */
function cpuOf(pid: number | undefined): number | undefined {
  try {
    // Ticks of user and system time, behind the name, which may have blanks: proc(5). A tick is 10 ms.
    const [, fields = ''] = /\) (.*)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    const parts = fields.split(' ')
    return (Number(parts[11]) + Number(parts[12])) * 10_000
  } catch {
    return undefined
  }
}
