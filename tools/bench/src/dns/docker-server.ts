import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { DnsServer } from './responders.ts'

const SCRIPT = fileURLToPath(new URL('../src/dns/dockerd.sh', import.meta.url))
/** Taken apart and not installed: installed, the daemon would be started, on the host itself. */
const PACKAGES = ['docker.io', 'containerd', 'runc', 'tini', 'libdevmapper1.02.1']
/** Kept from run to run: they are some hundred megabytes. */
const ROOT = join(tmpdir(), 'net-bench-docker/root')
const OWN_NAMESPACES = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--cgroup', '--uts', '--ipc']

/** Docker's resolver, which knows `name0`; undefined, and said why, where its daemon does not run in namespaces of its own. */
export async function dockerServer(folder: string): Promise<DnsServer | undefined> {
  const place = join(folder, 'docker')
  if (!existsSync(join(ROOT, 'usr/sbin/dockerd'))) {
    process.stderr.write(`bench: could not fetch ${PACKAGES.join(', ')}\n`)
    return undefined
  }
  mkdirSync(place)
  const child = spawn('unshare', [...OWN_NAMESPACES, 'sh', SCRIPT, ROOT, place], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  const [said] = (await Promise.race([once(child.stdout, 'data'), ended.then(() => [''])])) as [Buffer | string]
  const [, pid] = /^ready (\d+)/.exec(said.toString()) ?? []
  if (pid === undefined) {
    process.stderr.write(`bench: dockerd does not run here: ${lastLineOf(join(place, 'dockerd.log'))}\n`)
    child.stdin.end()
    await ended
    return undefined
  }
  return {
    ...{ name: 'docker', server: '127.0.0.11', port: 53, namespace: `/proc/${pid}/ns/net`, knowsAll: false },
    cpuUs: () => undefined,
    close: async () => {
      child.stdin.end()
      await ended
    },
  }
}

/** Fetches Docker's programs, unless they are there; called while this process still has a way outside. */
export function fetchDocker(): void {
  if (existsSync(join(ROOT, 'usr/sbin/dockerd'))) return
  mkdirSync(ROOT, { recursive: true })
  const cwd = dirname(ROOT)
  const download = spawnSync('apt-get', ['download', ...PACKAGES], { cwd, stdio: 'ignore' })
  if (download.status === 0) spawnSync('sh', ['-c', 'for file in *.deb; do dpkg -x "$file" root; done'], { cwd })
}

function lastLineOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim().split('\n').at(-1) ?? ''
  } catch {
    return 'it was not started'
  }
}
