import { errnoName, SystemCallError } from './errors.ts'
import { libc } from './libc.ts'

/**
 * The index of the calling thread's namespace's interface of that name; undefined where there is none. It takes the
 * kernel a microsecond, where {@link RouteSocket.findLink} waits for whoever is changing a link and tells all of it.
 *
 * @throws SystemCallError (`ERR_SYSTEM_CALL`): EMFILE, ENFILE
 */
export function findInterfaceIndex(name: string): number | undefined {
  const index = libc().if_nametoindex(name)
  if (index > 0) return index
  const errno = libc().errno()
  if (errnoName(errno) === 'ENODEV') return undefined
  throw new SystemCallError('if_nametoindex', errno, name)
}
