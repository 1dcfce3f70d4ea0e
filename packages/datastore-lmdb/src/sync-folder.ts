import { open } from 'node:fs/promises'

/** Puts on the disk what was created, renamed and removed in a folder. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
