import type { Subnet } from '@net/driverapi'
import { NameTable } from '@net/resolver'
import { parseCidr, withoutPrefixLength } from '@net/types'
import type { Core } from '../core.ts'
import { heldAddresses } from '../endpoint-operations.ts'
import { SandboxNaming } from '../names/sandbox-naming.ts'
import type { EndpointEntry, NetworkEntry } from '../state.ts'
import { subnetsOf } from '../subnets.ts'
import type { Managers } from './managers.ts'
import type { StoredEndpoint, StoredNetwork, StoredPool, StoredSandbox } from './stored-forms.ts'

/** Knows a network again. A manager that forgets over a restart is asked again for what it had given. */
export async function replayNetwork(core: Core, stored: StoredNetwork, managers: Managers): Promise<NetworkEntry> {
  core.drivers.get(stored.record.driver)
  const ipam = await managers.get(stored.ipam)
  const entry: NetworkEntry = {
    record: stored.record,
    ipam,
    ipamOptions: stored.ipamOptions,
    pools: stored.pools,
    prefixes: subnetsOf(stored.record).map(({ pool }) => parseCidr(pool)),
    names: new NameTable(stored.record.name),
    endpointsByName: new Map(),
  }
  if (ipam.capabilities.requiresRequestReplay) {
    const { ipv4, ipv6 } = stored.record
    entry.record = {
      ...stored.record,
      ...(ipv4 === undefined ? {} : { ipv4: await replaySubnet(entry, ipv4, 4) }),
      ...(ipv6 === undefined ? {} : { ipv6: await replaySubnet(entry, ipv6, 6) }),
    }
  }
  core.state.addNetwork(entry)
  core.hostNames?.add(entry.names)
  return entry
}

async function replaySubnet(
  { ipam, ipamOptions: options, pools }: NetworkEntry,
  subnet: Subnet,
  family: 4 | 6,
): Promise<Subnet> {
  const { pool, gateway } = subnet
  const asked: StoredPool | undefined = pools.find((one) => one.family === family)
  const { id } = await ipam.requestPool({
    ...{ addressSpace: ipam.addressSpaces.local, family, pool, subPool: asked?.subPool, options },
  })
  await ipam.requestAddress(id, { address: withoutPrefixLength(gateway), purpose: 'gateway' })
  for (const address of Object.values(asked?.auxAddresses ?? {})) await ipam.requestAddress(id, { address })
  return { ...subnet, poolId: id }
}

/** Knows an endpoint again. Its ports are those of the record, and held by nobody yet. */
export async function replayEndpoint(core: Core, stored: StoredEndpoint): Promise<EndpointEntry> {
  const network = core.state.getNetwork(stored.record.networkId)
  const { record, ipamOptions, gatewayFor } = stored
  const entry: EndpointEntry = { record, ipamOptions, ports: new Map(), gatewayFor }
  if (gatewayFor.length > 0) entry.isGatewayElsewhere = true
  if (network.ipam.capabilities.requiresRequestReplay) {
    for (const { poolId, address } of heldAddresses(network.record, record)) {
      await network.ipam.requestAddress(poolId, { address, owner: record.id, options: ipamOptions })
    }
  }
  core.state.addEndpoint(entry)
  return entry
}

/** Knows a sandbox again; who is joined to it is yet to be found out. */
export function replaySandbox(core: Core, { record, wishes }: StoredSandbox): void {
  const naming = new SandboxNaming({ key: record.key, folder: `${record.key}.files` }, wishes, core.naming)
  core.state.addSandbox({ record: { ...record, phase: 'ready' }, naming, endpoints: new Set() })
}
