/** The layers, lowest first. A package imports from lower layers only: never up, never sideways. */
export const layers: readonly (readonly string[])[] = [
  ['types'],
  ['bitseq', 'netlink-ffi', 'datastore', 'driverapi', 'plugins'],
  ['ipamapi', 'datastore-lmdb', 'datastore-etcd', 'idm', 'portallocator', 'firewall', 'osl'],
  ['ipam', 'portmapper'],
  ['drivers-bridge', 'drivers-remote', 'resolver'],
  ['libnetwork'],
]

/** Packages that decide and touch nothing: their sources import nothing of Node. */
export const pure: readonly string[] = ['types', 'bitseq', 'idm', 'ipamapi', 'driverapi', 'drivers-bridge']

/** What only the packages named here may depend on. */
export const reserved: Readonly<Record<string, readonly string[]>> = { koffi: ['netlink-ffi'] }

/** Layer of a package's folder name; undefined when the table lacks it. */
export function layerOf(name: string): number | undefined {
  const layer = layers.findIndex((names) => names.includes(name))
  return layer < 0 ? undefined : layer
}
