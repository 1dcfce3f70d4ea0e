import { readFile, stat, statfs } from 'node:fs/promises'
import type { StoreFolder } from './folder.ts'

/** Bytes by which the data file can grow: what the disk has left, or what the process may write to a file. */
export async function roomFor(folder: StoreFolder): Promise<number> {
  return Math.min(...(await Promise.all([roomOnDisk(folder), roomBelowLimit(folder)])))
}

async function roomOnDisk({ path }: StoreFolder): Promise<number> {
  const disk = await statfs(path).catch(() => undefined)
  return disk === undefined ? Infinity : disk.bavail * disk.bsize
}

/** RLIMIT_FSIZE, see getrlimit(2). */
async function roomBelowLimit({ data }: StoreFolder): Promise<number> {
  const limits = await readFile('/proc/self/limits', 'latin1').catch(() => '')
  const limit = /^Max file size +(\d+) /m.exec(limits)
  if (limit === null) return Infinity
  const { size } = await stat(data).catch(() => ({ size: 0 }))
  return Number(limit[1]) - size
}
