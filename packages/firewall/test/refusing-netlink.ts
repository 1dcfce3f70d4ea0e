import { NetlinkError, NftablesSocket } from '@net/netlink-ffi'
import type { FirewallNetlink } from '../src/index.ts'

/** A socket of the kernel's whose commits fail with an error number as long as there is one. */
export function refusingNetlink(): FirewallNetlink & { refusal: number | undefined; commits: number } {
  const socket = NftablesSocket.open()
  return {
    refusal: undefined,
    commits: 0,
    port: socket.port,
    commit(...args) {
      if (this.refusal !== undefined) throw new NetlinkError('NFT_MSG_NEWSETELEM', this.refusal)
      this.commits++
      socket.commit(...args)
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
