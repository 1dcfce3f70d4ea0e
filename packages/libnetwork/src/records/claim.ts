import type { PublishedPort } from '@net/driverapi'
import { withoutPrefixLength, type AddressFamily } from '@net/types'
import { z } from 'zod'
import { members } from './stored-forms.ts'

/** A pool that a record says a network has. */
export interface ClaimedPool {
  readonly family: AddressFamily
  readonly pool: string
  readonly subPool?: string | undefined
}

/** What a record lays claim to, as far as it can be read: a network, an endpoint or a sandbox. */
export interface Claim {
  /** Of a network or an endpoint. */
  readonly name?: string | undefined
  /** Name of a network's address manager. */
  readonly ipam?: string | undefined
  readonly pools: readonly ClaimedPool[]
  /** The network that an endpoint is on. */
  readonly networkId?: string | undefined
  /** Without prefix length. */
  readonly addresses: readonly string[]
  readonly ports: readonly PublishedPort[]
  /** Whose sandbox it is. */
  readonly containerId?: string | undefined
}

/** A member that is left out where it is not what it is to be. */
function lenient<T extends z.ZodType>(schema: T): z.ZodCatch<z.ZodOptional<T>> {
  return schema.optional().catch(undefined)
}

const subnet = lenient(z.object({ pool: members.cidr }))
const familyPool = lenient(z.object({ family: z.union([z.literal(4), z.literal(6)]), subPool: members.cidr }))

const claimForm = z.object({
  ipam: lenient(z.string()),
  pools: lenient(z.array(familyPool)),
  record: lenient(
    z.object({
      name: lenient(members.name),
      ipv4: subnet,
      ipv6: subnet,
      networkId: lenient(members.id),
      address: lenient(members.cidr),
      address6: lenient(members.cidr),
      ports: lenient(z.array(lenient(members.published))),
      containerId: lenient(z.string()),
    }),
  ),
})

/** Reads what a record lays claim to, member by member: what is damaged takes nothing else along. */
export function readClaim(value: unknown): Claim {
  const parsed = claimForm.safeParse(value)
  const { ipam, pools = [], record = {} } = parsed.success ? parsed.data : {}
  const { name, networkId, containerId, ports = [] } = record
  const poolOf = (family: AddressFamily, pool: string | undefined): ClaimedPool[] => {
    const subPool = pools.find((one) => one?.family === family)?.subPool
    return pool === undefined ? [] : [{ family, pool, subPool }]
  }
  return {
    ...{ name, ipam, networkId, containerId },
    pools: [...poolOf(4, record.ipv4?.pool), ...poolOf(6, record.ipv6?.pool)],
    addresses: [record.address, record.address6].filter((cidr) => cidr !== undefined).map(withoutPrefixLength),
    ports: ports.filter((port) => port !== undefined),
  }
}
