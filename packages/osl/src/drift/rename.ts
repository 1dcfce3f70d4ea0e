import { isErrno, setLink, type RouteSocket } from '@net/netlink-ffi'

/** Gives a link its name again. */
export function rename(routes: RouteSocket, index: number, name: string): void {
  try {
    routes.apply(setLink(index, { rename: name }))
  } catch (error) {
    if (!isErrno(error, 'EBUSY')) throw error
    // Before Linux 6.2 only links that are down are renamed. What it loses by that is found at the next look.
    routes.apply(setLink(index, { up: false }))
    routes.apply(setLink(index, { rename: name }), setLink(index, { up: true }))
  }
}
