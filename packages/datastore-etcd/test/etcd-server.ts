import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { describe } from 'vitest'

/** etcd, running on loopback with a folder of its own. */
export interface EtcdServer extends AsyncDisposable {
  readonly endpoint: string
  /** Ends it at once, as a power failure would, and keeps its folder. */
  kill(): Promise<void>
  /** Starts it again, where it was and with what it had. */
  restart(): Promise<void>
}

/** How to start it. */
export interface EtcdServerOptions {
  /** Certificate and key to show, and the authority that clients must be vouched for by. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa: string } | undefined
  readonly args?: readonly string[] | undefined
}

/** Runs `tests` where there is an etcd, and says so where there is none. In CI there has to be one. */
export function describeEtcd(name: string, tests: () => void): void {
  const isThere = spawnSync('etcd', ['--version']).status === 0
  if (isThere || process.env.CI !== undefined) describe(name, tests)
  else describe.skip(`${name} (skipped: there is no etcd on the PATH)`, tests)
}

/** Starts a server on its own. */
export async function startEtcd(options: EtcdServerOptions = {}): Promise<EtcdServer> {
  const [server] = await startCluster(['only'], options)
  return server!
}

/** Starts servers that are one cluster, which elects a leader within a fraction of a second. */
export async function startCluster(
  names: readonly string[],
  options: EtcdServerOptions = {},
): Promise<readonly EtcdServer[]> {
  const scheme = options.tls === undefined ? 'http' : 'https'
  const ports = await freePorts(2 * names.length)
  const peers = names.map((_, index) => `http://127.0.0.1:${ports[2 * index]}`)
  const cluster = names.map((name, index) => `${name}=${peers[index]}`).join(',')
  const servers = names.map((name, index) => {
    const endpoint = `${scheme}://127.0.0.1:${ports[2 * index + 1]}`
    const args = ['--name', name, '--initial-cluster', cluster, ...argumentsOf(endpoint, peers[index]!, options)]
    return new RunningEtcd(endpoint, args)
  })
  await Promise.all(servers.map((server) => server.restart()))
  return servers
}

function argumentsOf(endpoint: string, peer: string, { tls, args = [] }: EtcdServerOptions): string[] {
  return [
    ...['--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
    ...['--heartbeat-interval', '20', '--election-timeout', '200', '--unsafe-no-fsync'],
    ...['--logger', 'zap', '--log-outputs', 'stderr'],
    ...(tls === undefined ? [] : ['--cert-file', tls.cert, '--key-file', tls.key]),
    ...(tls === undefined ? [] : ['--client-cert-auth', '--trusted-ca-file', tls.clientCa]),
    ...args,
  ]
}

/**
 * Ends the server when its own input ends, which it does in any case when the tests' process does: nothing is left
 * behind, however that comes about. The folder stays if it is told to keep it.
 */
const KEEPER = [
  'folder=$1; shift; "$@" & server=$!',
  // The server's output ends with the server.
  'exec 2>&-',
  'read -r word; kill -9 $server; wait $server; [ "$word" = keep ] || rm -rf "$folder"',
].join('\n')

class RunningEtcd implements EtcdServer {
  readonly endpoint: string
  readonly #args: readonly string[]
  readonly #folder = mkdtempSync(join(tmpdir(), 'net-etcd-'))
  #keeper: ChildProcessByStdio<Writable, null, Readable> | undefined

  constructor(endpoint: string, args: readonly string[]) {
    this.endpoint = endpoint
    this.#args = args
  }

  async restart(): Promise<void> {
    const command = ['etcd', '--data-dir', join(this.#folder, 'data'), ...this.#args]
    const keeper = spawn('sh', ['-c', KEEPER, 'sh', this.#folder, ...command], { stdio: ['pipe', 'ignore', 'pipe'] })
    this.#keeper = keeper
    const said: string[] = []
    for await (const line of createInterface(keeper.stderr)) {
      said.push(line)
      if (line.includes('serving client traffic')) {
        keeper.stderr.resume()
        return
      }
    }
    throw new Error(`etcd has ended:\n${said.slice(-5).join('\n')}`)
  }

  async kill(): Promise<void> {
    await this.#end('keep\n')
    // By then everybody here has seen that his connection is gone: a write sent by it would have an unknown outcome.
    await turnOfLoop()
    await turnOfLoop()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end('')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #end(word: string): Promise<void> {
    const keeper = this.#keeper
    this.#keeper = undefined
    if (keeper === undefined) return
    const exit = once(keeper, 'exit')
    keeper.stdin.end(word)
    await exit
  }
}

/** Ports that are free now, all different: each is held until all are found. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => once(server.close(), 'close')))
  return ports
}
