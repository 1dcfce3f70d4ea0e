import { closeSync, constants, mkdirSync, openSync } from 'node:fs'

/** The socket's name in its folder. */
const NAME = 'control'

/** A folder in which a proxy process has its control socket. */
export interface ControlFolder extends Disposable {
  /** Path of the socket. However deep the folder lies, it fits into a socket's address (struct sockaddr_un). */
  readonly socket: string
  /** Safe to call twice. */
  close(): void
}

/** Makes the folder, which nobody else may enter, where it is not there. */
export function createControlFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
}

/** Opens the folder at `path`; undefined where there is none. */
export function openControlFolder(path: string): ControlFolder | undefined {
  const fd = openDirectory(path)
  if (fd === undefined) return undefined
  let closed = false
  const close = (): void => {
    if (closed) return
    closed = true
    closeSync(fd)
  }
  return { socket: `/proc/self/fd/${fd}/${NAME}`, close, [Symbol.dispose]: close }
}

function openDirectory(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
