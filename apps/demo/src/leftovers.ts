import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { holdPort, NftablesSocket, RouteSocket } from '@net/netlink-ffi'

/** A port of the host that was published. */
export interface HostPort {
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly port: number
}

/** Where the demo and its controller put files and mount namespaces. */
export interface Places {
  /** The demo's own folder. It is there before and after; nothing is to be in it. */
  readonly folder: string
  /** The controllers' folders: nothing of them is to be there any more. */
  readonly controllerFolders: readonly string[]
}

/**
 * What there is: links, packet rules, child processes, files, mounted namespaces. Each a line that names it,
 * so that two lists can be compared.
 */
export function takeInventory(places: Places): string[] {
  return [...links(), ...packetRules(), ...childProcesses(), ...files(places), ...mounts(places)]
}

/** What `after` has and `before` had not. */
export function leftoversOf(before: readonly string[], after: readonly string[]): string[] {
  const known = new Set(before)
  return after.filter((item) => !known.has(item))
}

/** Those of `ports` that cannot be bound. */
export function portsStillTaken(ports: readonly HostPort[]): string[] {
  return ports.flatMap(({ protocol, port }) => {
    try {
      holdPort({ protocol, port }).close()
      return []
    } catch (error) {
      return [`${protocol} port ${port}: ${error instanceof Error ? error.message : String(error)}`]
    }
  })
}

function links(): string[] {
  using routes = RouteSocket.open()
  return routes.listLinks().map(({ index, name }) => `link ${name} (${index})`)
}

function packetRules(): string[] {
  using nftables = NftablesSocket.open()
  return nftables.listTables().flatMap((table) => {
    const named = `${table.family} ${table.name}`
    return [
      `nftables table ${named}`,
      ...nftables.listChains(table).map((chain) => `nftables chain ${named} ${chain.name}`),
      ...nftables.listRules(table).map(({ handle }) => `nftables rule ${named} ${handle}`),
      ...nftables.listSets(table).map((set) => `nftables set ${named} ${set.name}`),
    ]
  })
}

function childProcesses(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((stat) => stat?.parent === process.pid)
    .map((stat) => `process ${stat?.name ?? ''}`)
}

/** Out of `/proc/PID/stat`: `PID (NAME) STATE PPID …`, where NAME may contain anything. */
function statOf(pid: string): { readonly name: string; readonly parent: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const end = stat.lastIndexOf(')') + 1
    return { name: stat.slice(0, end), parent: Number(stat.slice(end).split(' ')[2]) }
  } catch {
    return undefined // it ended meanwhile
  }
}

function files({ folder, controllerFolders }: Places): string[] {
  return [
    ...readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => `file ${folder}/${name}`),
    ...controllerFolders.filter((path) => existsSync(path)).map((path) => `file ${path}`),
  ]
}

/** Only ours: others of this machine may mount what they like meanwhile. */
function mounts({ folder, controllerFolders }: Places): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => [folder, ...controllerFolders].some((own) => path.startsWith(`${own}/`)))
    .map((path) => `mount ${path}`)
}
