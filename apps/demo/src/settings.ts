import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** Kernel settings by their path below `/proc/sys`. */
export type Settings = ReadonlyMap<string, string>

/**
 * Whether the host forwards packets, as a whole and by interface. Networks turn it on and leave it on, since
 * others may have come to rely on it; the demo knows that it has been here alone.
 */
export function readForwarding(): Settings {
  const perInterface = ['ipv4', 'ipv6'].flatMap((family) =>
    // "all" first: writing it writes all the others.
    ['all', ...interfacesOf(family).filter((name) => name !== 'all')].map(
      (name) => `net/${family}/conf/${name}/forwarding`,
    ),
  )
  return new Map(
    ['net/ipv4/ip_forward', ...perInterface].flatMap((path) => {
      const value = read(path)
      return value === undefined ? [] : [[path, value] as const]
    }),
  )
}

/** Writes what differs from `settings`. What is gone meanwhile is left alone. */
export function restoreSettings(settings: Settings): void {
  for (const [path, value] of settings) {
    const now = read(path)
    if (now !== undefined && now !== value) writeFileSync(`/proc/sys/${path}`, value)
  }
}

/** Each setting in a line that can be compared. */
export function formatSettings(settings: Settings): string[] {
  return Array.from(settings, ([path, value]) => `setting ${path} = ${value}`)
}

function interfacesOf(family: string): string[] {
  try {
    return readdirSync(`/proc/sys/net/${family}/conf`)
  } catch {
    return [] // a kernel without that family
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${path}`, 'utf8').trim()
  } catch {
    return undefined // the interface is gone, or the kernel has no such family
  }
}
