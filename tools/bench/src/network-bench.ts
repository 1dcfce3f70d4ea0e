import { writeFileSync } from 'node:fs'
import {
  addAddress,
  addElements,
  createLink,
  deleteElements,
  setLink,
  type NetlinkMessage,
  type NftDataType,
  type NftValue,
} from '@net/netlink-ffi'
import * as floor from './floor.ts'
import { collectGarbage, median, timed, type Measurement } from './measure.ts'
import type { Subject } from './subject.ts'

const REPETITIONS = 40
const WARM_UP = 10

/** create-network: a dual-stack bridge with its addresses and rules. */
export async function measureCreateNetwork(subject: Subject): Promise<Measurement[]> {
  const ours: number[] = []
  const theirs: number[] = []
  const route = floor.routeSocket()
  const nftables = floor.nftablesSocket()
  collectGarbage()
  for (let at = 0; at < WARM_UP + REPETITIONS; at++) {
    const name = `br-bare${at}`
    const [creation, alias, configuration] = [
      floor.prepare([createLink({ kind: 'bridge', name, macAddress: '02:42:00:00:00:07' })]),
      floor.prepare([setLink(name, { alias: 'net:floor' })]),
      (index: number) =>
        floor.prepare([
          addAddress({ index, address: `10.92.${at}.1/24` }),
          addAddress({ index, address: `fd92:${at.toString(16)}::1/64` }),
          setLink(index, { up: true }),
        ]),
    ] as const
    const rules = floor.prepareBatch(networkElements(addElements, subject.table, name))
    const removal = floor.prepareBatch(networkElements(deleteElements, subject.table, name))
    let network: { delete(): Promise<void> } | undefined
    const own = await timed(async () => {
      network = await subject.controller.createNetwork({ name: `n${at}`, ipv6: true })
    })
    const bare = await timed(() => {
      route.exchange(creation)
      route.exchange(alias)
      for (const file of [`ipv4/conf/${name}/route_localnet`, `ipv6/conf/${name}/accept_ra`]) {
        writeFileSync(`/proc/sys/net/${file}`, file.startsWith('ipv4') ? '1' : '0')
      }
    })
    // Its index is known only now; finding it out is no part of the floor.
    const bytes = configuration(subject.routes.getLink(name).index)
    const rest = await timed(() => {
      route.exchange(bytes)
      nftables.exchange(rules)
    })
    if (at >= WARM_UP) {
      ours.push(own)
      theirs.push(bare + rest)
    }
    nftables.exchange(removal)
    await network?.delete()
    await subject.routes.deleteLinks([name])
  }
  route.close()
  nftables.close()
  return [{ name: 'create-network', unit: 'ms', ours: median(ours), floor: median(theirs) }]
}

/** The elements by which the packet rules know a network with both families masqueraded. */
function networkElements(
  change: (set: Parameters<typeof addElements>[0], elements: Parameters<typeof addElements>[1]) => NetlinkMessage[],
  table: string,
  bridge: string,
): NetlinkMessage[] {
  const reference = { family: 'inet', name: table } as const
  const add = (
    name: string,
    key: NftDataType[],
    values: NftValue[],
    data?: 'accept' | 'goto hairpin' | 'goto inbound',
  ): NetlinkMessage[] =>
    change({ table: reference, name, key, ...(data === undefined ? {} : { data: 'verdict' as const }) }, [
      { key: values, ...(data === undefined ? {} : { data }) },
    ])
  return [
    ...add('bridges', ['ifname'], [bridge]),
    ...add('intra', ['ifname', 'ifname'], [bridge, bridge], 'accept'),
    ...add('own', ['ifname', 'ifname'], [bridge, bridge], 'goto hairpin'),
    ...add('own', ['ifname', 'ifname'], ['', bridge], 'goto hairpin'),
    ...add('to_network', ['nf_proto', 'ifname'], ['ipv4', bridge], 'goto inbound'),
    ...add('to_network', ['nf_proto', 'ifname'], ['ipv6', bridge], 'goto inbound'),
    ...add('masquerade4', ['ifname'], [bridge]),
    ...add('masquerade6', ['ifname'], [bridge]),
  ]
}
