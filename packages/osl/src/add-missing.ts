import { isErrno, type NetlinkMessage, type RouteSocket } from '@net/netlink-ffi'

/**
 * Carries out messages each of which adds something; what is there already is no error. Without a list of what is there,
 * which others may have made long.
 */
export function addMissing(inside: RouteSocket, messages: readonly NetlinkMessage[]): void {
  for (const message of messages) {
    try {
      inside.apply(message)
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
    }
  }
}
