import { SystemCallFaults } from '@net/netlink-ffi/testing'

/** How many system calls something takes. */
export async function callsOf(work: () => Promise<unknown>): Promise<number> {
  using calls = new SystemCallFaults()
  await work()
  return calls.count
}
