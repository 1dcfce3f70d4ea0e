import { mkdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Rollback } from '@net/types'
import { RuntimeDirectoryError } from './errors.ts'

/** Where namespaces lie, unless somebody says otherwise. */
const RUNTIME_DIRECTORY = '/run/net'

/** Makes the controller's folder. It goes with the controller, and so does what had to be made for it. */
export function createFolder(id: string, runtimeDirectory: string | undefined, held: Rollback): string {
  const parent = runtimeDirectory ?? RUNTIME_DIRECTORY
  const isParentMade = createPath(parent)
  // Our own folder may have been made by another controller, and be left to us to remove.
  if (isParentMade || runtimeDirectory === undefined) {
    held.defer(`create ${parent}`, () => {
      removeEmpty(parent)
    })
  }
  const folder = join(parent, id)
  createPath(folder)
  held.defer(`create ${folder}`, () => {
    removeEmpty(folder)
  })
  return folder
}

/** Makes a folder, and those it lies in; says whether any had to be made. */
function createPath(path: string): boolean {
  try {
    return mkdirSync(path, { recursive: true, mode: 0o755 }) !== undefined
  } catch (cause) {
    throw new RuntimeDirectoryError(path, cause)
  }
}

/** Removes a folder, unless somebody has something in it. */
function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY'].includes(code)) throw error
  }
}
