import { closeSync, openSync } from 'node:fs'
import {
  createNamespace,
  deleteNamespace,
  inNamespace,
  isErrno,
  RouteSocket,
  setLink,
  type Synchronous,
} from '@net/netlink-ffi'
import { isNetError, type Logger } from '@net/types'
import { NotPermittedError, SandboxExistsError, SandboxNotFoundError } from './errors.ts'

/**
 * Makes the network namespace of a sandbox at path `key`, with its loopback interface up.
 *
 * @throws SandboxExistsError (`ERR_SANDBOX_EXISTS`), NotPermittedError (`ERR_NOT_PERMITTED`)
 */
export function createSandboxNamespace(key: string, logger?: Logger): void {
  try {
    createNamespace(key, () => {
      using routes = RouteSocket.open({ logger })
      routes.apply(setLink('lo', { up: true }))
    })
  } catch (cause) {
    if (isErrno(cause, 'EPERM', 'EACCES')) throw new NotPermittedError('create a network namespace', cause)
    if (hasCode(cause, 'EEXIST')) throw new SandboxExistsError(key, cause)
    throw cause
  }
}

/** Lets the namespace of a sandbox go. One that is not there is no error. */
export function deleteSandboxNamespace(key: string): void {
  deleteNamespace(key)
}

/**
 * Opens the namespace of a sandbox; the caller closes the descriptor.
 *
 * @throws SandboxNotFoundError (`ERR_SANDBOX_NOT_FOUND`)
 */
export function openSandboxNamespace(key: string): number {
  try {
    return openSync(key, 'r')
  } catch (cause) {
    throw isAbsence(cause) ? new SandboxNotFoundError(key, cause) : cause
  }
}

/**
 * Runs `work` inside the sandbox: system calls, `spawn`, synchronous file operations below `/proc`, nothing else.
 *
 * @throws SandboxNotFoundError (`ERR_SANDBOX_NOT_FOUND`)
 */
export function inSandbox<T>(key: string, work: () => Synchronous<T>): T {
  const fd = openSandboxNamespace(key)
  try {
    return inNamespace(fd, work)
  } finally {
    closeSync(fd)
  }
}

/**
 * As {@link inSandbox}; undefined where no namespace is at path `key`. One that was unmounted leaves an empty file. What
 * cannot be found out is thrown (EMFILE, EACCES): a sandbox that lives is not to be taken for one that is gone.
 */
export function inSandboxIfThere<T>(key: string, work: () => Synchronous<T>): T | undefined {
  try {
    return inSandbox(key, work)
  } catch (error) {
    // setns answers EINVAL to what is no namespace.
    if (isNetError(error, 'ERR_SANDBOX_NOT_FOUND') || isErrno(error, 'EINVAL')) return undefined
    throw error
  }
}

/** Whether the namespace of a sandbox is at path `key`; see {@link inSandboxIfThere}. */
export function isSandbox(key: string): boolean {
  return inSandboxIfThere(key, () => true) ?? false
}

function isAbsence(error: unknown): boolean {
  return hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
