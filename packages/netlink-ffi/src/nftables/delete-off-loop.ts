import { close } from 'node:fs'
import { promisify } from 'node:util'
import { isErrno } from '../errors.ts'
import { NetlinkSocket } from '../netlink-socket.ts'
import { NETLINK_NETFILTER } from '../nfnetlink-header.ts'
import { batchBegin, batchEnd, type TableReference } from './nfnetlink.ts'
import { deleteTable } from './table.ts'

const closeOffLoop = promisify(close)

/**
 * Deletes a table of the calling thread's namespace: packets see nothing of it any more. The kernel
 * frees its chains later, and whoever closes the socket that did it waits for that, 10 ms and more. The
 * result does so off the event loop; call it once the thread is at home again. A table that is not there is no error.
 *
 * @throws NetlinkError (`ERR_NETLINK`): EPERM
 */
export function deleteTableOffLoop(table: TableReference): () => Promise<void> {
  const socket = NetlinkSocket.open(NETLINK_NETFILTER)
  const message = deleteTable(table)
  const { errors } = socket.exchange([batchBegin([message]), message, batchEnd], 1)
  const refusal = errors[0]?.error
  if (refusal !== undefined && !isErrno(refusal, 'ENOENT')) {
    socket.close()
    throw refusal
  }
  return () => closeOffLoop(socket.fd)
}
