import { readdir, readFile, readlink } from 'node:fs/promises'

/** A process of this host. */
export interface HostProcess {
  readonly pid: number
  /** Its name, as `ps -o comm` shows it. */
  readonly command: string
}

/**
 * The process that has the socket of this inode open, where the kernel lets us see it. Looks through `/proc` while the
 * event loop goes on.
 */
export async function findSocketOwner(inode: number): Promise<HostProcess | undefined> {
  const wanted = `socket:[${inode}]`
  for (const name of await listed('/proc')) {
    if (!/^\d+$/.test(name)) continue
    for (const fd of await listed(`/proc/${name}/fd`)) {
      if ((await readlink(`/proc/${name}/fd/${fd}`).catch(() => undefined)) !== wanted) continue
      return { pid: Number(name), command: await commandOf(name) }
    }
  }
  return undefined
}

async function commandOf(pid: string): Promise<string> {
  return (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'a program')).trim()
}

/** Processes end, and those of others may be hidden. */
async function listed(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}
