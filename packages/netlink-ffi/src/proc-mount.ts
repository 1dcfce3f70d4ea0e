import { closeSync } from 'node:fs'
import { libc } from './libc.ts'
import { check } from './netlink-socket.ts'

// linux/mount.h
const FSOPEN_CLOEXEC = 1
const FSCONFIG_CMD_CREATE = 6
const FSMOUNT_CLOEXEC = 1
const MOUNT_ATTR_NOSUID = 2
const MOUNT_ATTR_NODEV = 4
const MOUNT_ATTR_NOEXEC = 8

/**
 * Mounts procfs once more, where nobody else sees it: it is in no list of mounts. Since Linux 5.8 it is one of its own:
 * what is looked for in it is not remembered for `/proc`, and what is remembered there is not in its way.
 *
 * @returns a descriptor of its root, for paths below `/proc/self/fd/N`; closing it unmounts it
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EPERM without CAP_SYS_ADMIN, and in a container that is not to see all of
 *   `/proc`; ENOSYS before Linux 5.2
 */
export function mountProc(): number {
  const context = check(libc().fsopen('proc', FSOPEN_CLOEXEC), 'fsopen', 'proc')
  try {
    check(libc().fsconfig(context, FSCONFIG_CMD_CREATE), 'fsconfig', 'proc')
    const attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
    return check(libc().fsmount(context, FSMOUNT_CLOEXEC, attributes), 'fsmount', 'proc')
  } finally {
    closeSync(context)
  }
}
