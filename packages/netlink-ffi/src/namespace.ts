import { closeSync, constants, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { libc } from './libc.ts'
import { check } from './netlink-socket.ts'
import { isErrno } from './errors.ts'

// linux/sched.h, linux/mount.h
const CLONE_NEWNET = 0x40000000
const MS_BIND = 4096
const MNT_DETACH = 2

const OWN_NAMESPACE = '/proc/thread-self/ns/net'

/** `never` for a promise: what runs inside a namespace has to be done before the thread goes back. */
export type Synchronous<T> = T extends PromiseLike<unknown> ? never : T

/**
 * Runs `work` inside the namespace that `fd` is open on, then goes back. `work` cannot be async:
 * the thread is shared, so a pending promise would let others run in there. Nothing asynchronous
 * may even be begun inside: it would run on a pool thread, which is at home or, worse, is born inside.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`) when the namespace cannot be entered
 */
export function inNamespace<T>(fd: number, work: () => Synchronous<T>): T {
  const home = openSync(OWN_NAMESPACE, 'r')
  try {
    return thereAndBack(home, () => check(libc().setns(fd, CLONE_NEWNET), 'setns'), work)
  } finally {
    closeSync(home)
  }
}

/** As {@link inNamespace}, by the path of the namespace: `/proc/PID/ns/net` or where one is mounted. */
export function inNamespaceAt<T>(path: string, work: () => Synchronous<T>): T {
  const fd = openSync(path, 'r')
  try {
    return inNamespace(fd, work)
  } finally {
    closeSync(fd)
  }
}

/**
 * Makes a network namespace, runs `work` in it, and keeps it alive at `path` (a bind mount on an empty file, as
 * `ip netns` does): one that is there is complete. Nothing is left when any of it fails, but for what `work` returns.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EPERM without CAP_SYS_ADMIN
 */
export function createNamespace<T>(path: string, work: () => Synchronous<T>): T {
  return mountNamespace(path, work, () => check(libc().unshare(CLONE_NEWNET), 'unshare', 'CLONE_NEWNET'))
}

/**
 * Keeps a namespace that somebody else made alive at `path`, too: that of a process, `/proc/PID/ns/net`, or one that is
 * mounted at `from`. Runs `work` in it first. Nothing is left when any of it fails, but for what `work` did and returns.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EINVAL when there is no network namespace at `from`
 */
export function adoptNamespace<T>(from: string, path: string, work: () => Synchronous<T>): T {
  // Not to wait for the other end, should it be a pipe.
  const fd = openSync(from, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    return mountNamespace(path, work, () => check(libc().setns(fd, CLONE_NEWNET), 'setns', from))
  } finally {
    closeSync(fd)
  }
}

/** Runs `work` in the namespace that `enter` brings the thread into, and mounts it on a new file at `path`. */
function mountNamespace<T>(path: string, work: () => Synchronous<T>, enter: () => void): T {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  const home = openSync(OWN_NAMESPACE, 'r')
  try {
    // Fails when something is there: a namespace is never mounted over another.
    writeFileSync(path, '', { flag: 'wx', mode: 0o444 })
    return inMountedNamespace({ path, home, enter }, work)
  } finally {
    closeSync(home)
  }
}

/** Mounts the namespace on the file at `path`, which goes when that or `work` fails. */
function inMountedNamespace<T>(
  { path, home, enter }: { readonly path: string; readonly home: number; readonly enter: () => void },
  work: () => Synchronous<T>,
): T {
  try {
    return thereAndBack(home, enter, () => {
      // In this order: should the process die between, whoever finds a namespace at the path finds it as it is to be.
      const made = work()
      check(libc().mount(OWN_NAMESPACE, path, 'none', MS_BIND), 'mount', path)
      return made
    })
  } catch (error) {
    deleteNamespace(path)
    throw error
  }
}

/**
 * Lets the namespace at `path` go and removes the file. It dies once no process, socket or
 * descriptor is left in it; the kernel takes its links down later. A path that is not there is no error.
 */
export function deleteNamespace(path: string): void {
  try {
    check(libc().umount2(path, MNT_DETACH), 'umount2', path)
  } catch (error) {
    // EINVAL: no mount there. ENOENT: not even a file.
    if (!isErrno(error, 'EINVAL', 'ENOENT')) throw error
  }
  rmSync(path, { force: true })
}

/** Path of the namespace that process `pid` is in. */
export function namespaceOfProcess(pid: number): string {
  return `/proc/${pid}/ns/net`
}

/**
 * Moves the calling thread, and the programs it starts, into a new namespace for good. For programs
 * that want a host of their own, tests among them; call it before the first asynchronous file operation
 * has no effect on the pool: do one beforehand.
 */
export function enterNewNamespace(): void {
  check(libc().unshare(CLONE_NEWNET), 'unshare', 'CLONE_NEWNET')
}

/** Home also when `enter` throws: a native call that was made can throw what another left pending. */
function thereAndBack<T>(home: number, enter: () => void, work: () => Synchronous<T>): Synchronous<T> {
  try {
    enter()
    return work()
  } finally {
    goHome(home)
  }
}

/** A thread that cannot go home would do everything that follows in the wrong namespace. */
function goHome(home: number): void {
  try {
    if (libc().setns(home, CLONE_NEWNET) === 0) return
  } catch {
    // What another call left pending: it says nothing of this one, and to be home twice does no harm.
    if (libc().setns(home, CLONE_NEWNET) === 0) return
  }
  process.stderr.write('netlink-ffi: cannot return to the own network namespace; the process cannot go on\n')
  process.abort()
}
