import { existsSync, openSync, readFileSync } from 'node:fs'
import { libc } from '../libc.ts'
import type { Synchronous } from '../namespace.ts'
import { check } from '../netlink-socket.ts'

// linux/sched.h, linux/mount.h
const CLONE_FS = 0x200
const CLONE_NEWNS = 0x20000
const CLONE_NEWUTS = 0x4000000
const MS_BIND = 0x1000
const MS_REC = 0x4000
const MS_PRIVATE = 0x40000

/** A file that is seen in the place of another. */
export interface MountedFile {
  readonly source: string
  readonly target: string
}

/** How a program sees the host. */
export interface OwnView {
  readonly files: readonly MountedFile[]
  readonly hostname: string
  readonly domainname?: string | undefined
}

/**
 * How a thread sees the host: its files and its name. Made in a worker thread: from then on its working directory is
 * its own, which the main thread and the pool must not lose.
 */
export class HostView {
  readonly #mounts: number
  readonly #domainname: string

  private constructor(mounts: number, domainname: string) {
    this.#mounts = mounts
    this.#domainname = domainname
  }

  /** Lets the calling thread see otherwise than the others. @throws SystemCallError (`ERR_SYSTEM_CALL`): EPERM without CAP_SYS_ADMIN */
  static detachThread(): HostView {
    check(libc().unshare(CLONE_FS), 'unshare', 'CLONE_FS')
    const domainname = readFileSync('/proc/sys/kernel/domainname', 'utf8').trim()
    return new HostView(openSync('/proc/thread-self/ns/mnt', 'r'), domainname)
  }

  /**
   * Runs `work` where some files are others and the host has another name: programs started in there keep seeing it so.
   * The host's mounts are those of this moment. Files that are not there to be replaced are passed over.
   *
   * @throws SystemCallError (`ERR_SYSTEM_CALL`)
   */
  inOwn<T>(view: OwnView, work: () => Synchronous<T>): T {
    check(libc().unshare(CLONE_NEWNS | CLONE_NEWUTS), 'unshare', 'CLONE_NEWNS')
    try {
      check(libc().mount('none', '/', 'none', MS_REC | MS_PRIVATE), 'mount', 'private /')
      for (const file of view.files) mountFile(file)
      setName('sethostname', view.hostname)
      setName('setdomainname', view.domainname ?? this.#domainname)
      return work()
    } finally {
      this.#goBack()
    }
  }

  /**
   * A thread that cannot go back would show the next program the files of the one before: it ends, and it alone. The
   * host's name is left behind: that of the next program is another anyway, and in a user namespace nobody may go back.
   */
  #goBack(): void {
    if (libc().setns(this.#mounts, CLONE_NEWNS) !== 0) process.exit(1)
  }
}

function mountFile({ source, target }: MountedFile): void {
  if (!existsSync(target)) return
  check(libc().mount(source, target, 'none', MS_BIND), 'mount', `${source} on ${target}`)
}

function setName(call: 'sethostname' | 'setdomainname', name: string): void {
  const bytes = new TextEncoder().encode(name)
  check(libc()[call](bytes, bytes.length), call, name)
}
