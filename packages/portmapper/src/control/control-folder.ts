import { closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs'
import { ProxyStartError } from '../errors.ts'

/** The socket's name in its folder. */
const NAME = 'control'

/** A folder in which a proxy process has its control socket. */
export interface ControlFolder extends Disposable {
  /** Path of the socket. However deep the folder lies, it fits into a socket's address (struct sockaddr_un). */
  readonly socket: string
  /** Safe to call twice. */
  close(): void
}

/**
 * Makes the folder, which nobody else may enter, where it is not there.
 *
 * @throws ProxyStartError (`ERR_PROXY_START`)
 */
export function createControlFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new ProxyStartError(cause instanceof Error ? cause.message : String(cause), cause)
  }
}

/** Removes the folder, and the socket of a process that was killed. One that is not there is no error. */
export function removeControlFolder(path: string): void {
  rmSync(path, { recursive: true, force: true })
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
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}
