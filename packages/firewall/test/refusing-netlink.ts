import { NetlinkError, NftablesSocket, SystemCallError, type NftablesSocketOptions } from '@net/netlink-ffi'
import type { FirewallNetlink } from '../src/index.ts'

const ENOSPC = 28
const ENOBUFS = 105

/** A socket of the kernel's whose commits fail: with an error number, once after so many, or after they were carried out. */
export function refusingNetlink(
  options?: NftablesSocketOptions,
): FirewallNetlink & { refusal: number | undefined; commits: number; losesAnswers: boolean; failsAfter: number } {
  const socket = NftablesSocket.open(options)
  return {
    refusal: undefined,
    commits: 0,
    losesAnswers: false,
    failsAfter: Infinity,
    port: socket.port,
    commit(...args) {
      if (this.refusal !== undefined) throw new NetlinkError('NFT_MSG_NEWSETELEM', this.refusal)
      if (this.commits === this.failsAfter) {
        this.failsAfter = Infinity
        throw new NetlinkError('NFT_MSG_NEWSETELEM', ENOSPC)
      }
      socket.commit(...args)
      this.commits++
      if (this.losesAnswers) throw new SystemCallError('recv', ENOBUFS)
    },
    generation: () => socket.generation(),
    findTable: (table) => socket.findTable(table),
    listChains: (table) => socket.listChains(table),
    listRules: (table) => socket.listRules(table),
    listSets: (table) => socket.listSets(table),
    listElements: (set) => socket.listElements(set),
    close: () => {
      socket.close()
    },
  }
}
