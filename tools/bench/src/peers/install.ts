import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** Where Debian puts the peers, and the packages they come in; both of them run iptables. */
export const programs = {
  netavark: '/usr/lib/podman/netavark',
  bridge: '/usr/lib/cni/bridge',
  portmap: '/usr/lib/cni/portmap',
  iptables: '/usr/sbin/iptables',
} as const
/** A program, and the package that it comes in. */
export interface DebianPackage {
  readonly path: string
  readonly name: string
}

/** What the peers of attaching come in. */
export const attachPeers: readonly DebianPackage[] = [
  { path: programs.netavark, name: 'netavark' },
  { path: programs.bridge, name: 'containernetworking-plugins' },
  { path: programs.portmap, name: 'containernetworking-plugins' },
  { path: programs.iptables, name: 'iptables' },
]

/** Installs what is missing. Throws where that cannot be done: inside a namespace of our own, nothing can be fetched. */
export function installPackages(wanted: readonly DebianPackage[]): void {
  const names = [...new Set(wanted.filter(({ path }) => !existsSync(path)).map(({ name }) => name))]
  if (names.length === 0) return
  process.stderr.write(`bench: installing ${names.join(' ')}\n`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const apt = (...args: string[]): boolean => spawnSync('apt-get', args, { stdio: 'ignore', env }).status === 0
  const install = ['install', '--yes', '--no-install-recommends', ...names]
  if (!apt(...install) && !(apt('update') && apt(...install))) {
    throw new Error(`could not install ${names.join(', ')}: apt-get, root and a mirror are needed`)
  }
}
