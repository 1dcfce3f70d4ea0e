import { readSysctl } from './sysctl.ts'

/** The settings are this network namespace's; they are there when the kernel has br_netfilter. */
const paths = ['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables'].map((name) => `net/bridge/${name}`)

/** Whether frames on bridges can pass the packet rules: the kernel has br_netfilter. */
export function canFilterBridges(): boolean {
  return paths.every((path) => readSysctl(path) !== undefined)
}

/** Whether frames that stay on a bridge pass the packet rules of both families, as hosts of Docker have it. */
export function isFilteringBridges(): boolean {
  return paths.every((path) => readSysctl(path) === '1')
}
