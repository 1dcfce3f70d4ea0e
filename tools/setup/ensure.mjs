/**
 * What a bare clone needs before anything runs: the right Node, the dependencies, the builds and, for
 * tests, a few Debian packages. Each step looks first, so that the second time costs nothing and needs no network.
 * Plain JavaScript, and only Node's own modules: nothing else is there yet.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants as fsConstants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..')
const bin = join(root, 'node_modules/.bin')
const stamp = join(root, 'node_modules/.cache/net-setup.json')
const PNPM = 'pnpm@12.21.0'

/** Programs that tests use, and the Debian packages they come from. */
const testTools = {
  ...{ ip: 'iproute2', nft: 'nftables', iptables: 'iptables', ping: 'iputils-ping' },
  ...{ etcd: 'etcd-server', openssl: 'openssl', dig: 'bind9-dnsutils', curl: 'curl' },
  ...{ runc: 'runc', busybox: 'busybox-static' },
}

/** Dependencies are there and fit the lock file. */
export function ensureInstalled() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19))
    fail(`Node 20.19 or newer is needed; this is ${process.versions.node}`)
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .update(process.platform + process.arch)
    .digest('hex')
  if (existsSync(stamp) && JSON.parse(readFileSync(stamp, 'utf8')).lock === wanted) return
  say('installing dependencies')
  run('npx', ['--yes', PNPM, 'install', '--frozen-lockfile'])
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, JSON.stringify({ lock: wanted }))
}

/** Packages (all, or those that `filter` names with what they need) are built. */
export function ensureBuilt(filter) {
  run(join(bin, 'turbo'), [
    'run',
    'build',
    '--output-logs=errors-only',
    '--no-update-notifier',
    ...(filter === undefined ? [] : [`--filter=${filter}`]),
  ])
}

/** The programs that tests need are there, or it is said why not; such tests are skipped then. */
export function ensureTestTools() {
  const missing = Object.keys(testTools).filter((tool) => !isOnPath(tool))
  if (missing.length === 0) return
  const packages = [...new Set(missing.map((tool) => testTools[tool]))]
  if (process.getuid?.() !== 0 || !isOnPath('apt-get')) {
    say(
      `${missing.join(', ')} missing: tests that need them will be skipped (install ${packages.join(' ')}, and run as root)`,
    )
    return
  }
  say(`installing ${packages.join(' ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const install = ['install', '--yes', '--no-install-recommends', ...packages]
  if (spawnSync('apt-get', install, { stdio: 'ignore', env }).status === 0) return
  run('apt-get', ['update'], { env })
  run('apt-get', install, { env })
}

/** Runs a program of the workspace and hands on its exit status, signals included. */
export async function become(command, args, options = {}) {
  // Whoever presses Ctrl-C means the child too: it gets the signal itself, and we wait for it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined)
  const child = spawn(command, args, { stdio: 'inherit', ...options })
  const forward = (signal) => process.on(signal, () => child.kill(signal))
  forward('SIGTERM')
  forward('SIGHUP')
  const status = await new Promise((resolve) => {
    child.once('error', (error) => fail(`${command}: ${error.message}`))
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]))
  })
  process.exitCode = status
  return status
}

/** Runs a program and fails when it does. Its output goes to stderr: stdout belongs to the job itself. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    ...options,
    env: {
      TURBO_TELEMETRY_DISABLED: '1',
      ...(options.env ?? process.env),
      PATH: `${bin}${delimiter}${process.env.PATH}`,
    },
  })
  if (error !== undefined) fail(`${command}: ${error.message}`)
  if (status !== 0) fail(`${[command.split('/').at(-1), ...args].join(' ')} failed`)
}

/** Path of a program of the workspace's dependencies. */
export function tool(name) {
  return join(bin, name)
}

export function isOnPath(name) {
  return `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), fsConstants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

export function say(text) {
  process.stderr.write(`setup: ${text}\n`)
}

function fail(text) {
  say(text)
  process.exit(1)
}
