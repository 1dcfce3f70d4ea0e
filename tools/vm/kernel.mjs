/** A stock kernel of Debian's and the programs that boot it, fetched when they are missing. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { isOnPath, run } from '../setup/ensure.mjs'

const PACKAGE = 'linux-image-amd64'
const tools = {
  'qemu-system-x86_64': 'qemu-system-x86',
  busybox: 'busybox-static',
  modprobe: 'kmod',
  python3: 'python3',
}
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'net-vm')

export function say(text) {
  process.stderr.write(`vm: ${text}\n`)
}

/** Programs that a guest is made and started with. */
export function ensureVmTools() {
  const missing = Object.keys(tools).filter((tool) => !isOnPath(tool))
  if (missing.length === 0) return
  const packages = missing.map((tool) => tools[tool])
  say(`installing ${packages.join(' ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  run('apt-get', ['update', '--quiet'], { env })
  run('apt-get', ['install', '--yes', '--quiet', '--no-install-recommends', ...packages], { env })
}

/** The kernel's version, and the folder that has its `boot` and `lib/modules`: one fetched before, or Debian's newest. */
export function ensureKernel({ isUpdated }) {
  mkdirSync(cache, { recursive: true })
  const [there] = readdirSync(cache).filter((name) => existsSync(join(cache, name, 'complete')))
  if (there !== undefined && !isUpdated) return { version: there, folder: join(cache, there) }
  run('apt-get', ['update', '--quiet'])
  const image = imageOf(PACKAGE)
  const version = image.replace('linux-image-', '')
  const folder = join(cache, version)
  if (!existsSync(join(folder, 'complete'))) fetchKernel(image, version, folder)
  if (there !== undefined && there !== version) rmSync(join(cache, there), { recursive: true })
  return { version, folder }
}

function fetchKernel(image, version, folder) {
  say(`fetching ${image}`)
  const fresh = mkdtempSync(join(cache, '.new-'))
  try {
    // As root apt would fetch as another user, who may not write here.
    run('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', '--quiet', image], { cwd: fresh })
    const [archive] = readdirSync(fresh)
    run('dpkg-deb', ['--extract', archive, '.'], { cwd: fresh })
    run('/sbin/depmod', ['--basedir', fresh, version])
    mkdirSync(join(fresh, 'complete'))
    rmSync(folder, { recursive: true, force: true })
    renameSync(fresh, folder)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

/** The package that this one stands for: `linux-image-6.1.0-42-amd64`. */
function imageOf(name) {
  const text = execFileSync('apt-cache', ['depends', name], { encoding: 'utf8' })
  const [, image] = /Depends: (linux-image-\d\S*)/.exec(text) ?? []
  if (image === undefined) throw new Error(`apt knows no kernel behind ${name}`)
  return image
}
