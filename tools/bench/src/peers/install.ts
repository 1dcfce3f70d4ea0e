import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Where Debian puts the peers, and the packages they come in; both of them run iptables. */
export const programs = {
  netavark: '/usr/lib/podman/netavark',
  bridge: '/usr/lib/cni/bridge',
  portmap: '/usr/lib/cni/portmap',
  iptables: '/usr/sbin/iptables',
} as const
const packages = ['netavark', 'containernetworking-plugins', 'iptables']

/** Installs the peers that are missing. Throws where that cannot be done. */
export function installPeers(): void {
  installPackages(packages, Object.values(programs))
}

/** Installs Debian packages unless their programs are all there. Throws where that cannot be done. */
export function installPackages(packages: readonly string[], paths: readonly string[]): void {
  if (paths.every((path) => existsSync(path))) return
  process.stderr.write(`bench: installing ${packages.join(' ')}\n`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args: string[]): boolean => spawnSync('apt-get', args, { stdio: 'ignore', env }).status === 0
  const install = ['install', '--yes', '--no-install-recommends', ...packages]
  if (!apt(...install) && !(apt('update') && apt(...install))) {
    throw new Error(`could not install ${packages.join(', ')}: apt-get, root and a mirror are needed`)
  }
}
