import type { EndpointRecord, NetworkRecord, SandboxRecord } from '@net/driverapi'
import type { RecordForm } from '@net/datastore'
import { isAddress, isCidr, isInterfaceName, type AddressFamily } from '@net/types'
import { z } from 'zod'
import type { NamingWishes } from '../names/sandbox-naming.ts'

/** What was asked of the address manager for one family, beside what the record of the network says. */
export interface StoredPool {
  readonly family: AddressFamily
  readonly subPool?: string | undefined
  readonly auxAddresses?: Readonly<Record<string, string>> | undefined
}

/** A network in the store. */
export interface StoredNetwork {
  readonly record: NetworkRecord
  readonly ipam: string
  /** What its address manager was given beside. */
  readonly ipamOptions?: Readonly<Record<string, string>> | undefined
  readonly pools: readonly StoredPool[]
}

/** An endpoint in the store: of a joined one, all that it takes to plan it again. */
export interface StoredEndpoint {
  readonly record: EndpointRecord
  /** What its addresses were asked for with. */
  readonly ipamOptions?: Readonly<Record<string, string>> | undefined
  readonly gatewayFor: readonly AddressFamily[]
}

/** A sandbox in the store. */
export interface StoredSandbox {
  readonly record: SandboxRecord
  readonly wishes: NamingWishes
  /** In the order of joining. */
  readonly endpoints: readonly string[]
}

/** Whose records these are. */
export interface StoredController {
  readonly id: string
  /** Families whose forwarding was off before it was switched on here. */
  readonly forwarding: readonly AddressFamily[]
  /** What there may be packet rules of. @defaultValue nftables alone */
  readonly firewall?: 'iptables' | undefined
}

const id = z.string().regex(/^[0-9a-f]{64}$/, 'expected an id of 64 hexadecimal digits')
const phase = z.enum(['creating', 'ready', 'deleting'])
const family = z.union([z.literal(4), z.literal(6)])
const name = z.string()
const texts = z.record(z.string(), z.string())
const protocol = z.enum(['tcp', 'udp', 'sctp'])
const port = z.int().min(1).max(65_535)
/** None where a driver is yet to choose one. */
const MAC_ADDRESS = /^(?:[0-9a-f]{2}(?::[0-9a-f]{2}){5})?$/
const address = z.string().refine((text) => isAddress(text), 'expected an IPv4 or IPv6 address')
const cidr = z.string().refine((text) => isCidr(text), 'expected an address with its prefix length')
const ipv4Cidr = z.string().refine((text) => isCidr(text, 4), 'expected an IPv4 address with its prefix length')
const ipv6Cidr = z.string().refine((text) => isCidr(text, 6), 'expected an IPv6 address with its prefix length')
const interfaceName = z.string().refine(isInterfaceName, 'expected an interface name')
const ipv4 = z.strictObject({ poolId: z.string(), pool: ipv4Cidr, gateway: ipv4Cidr })
const ipv6 = z.strictObject({ poolId: z.string(), pool: ipv6Cidr, gateway: ipv6Cidr })
const published = z.strictObject({
  protocol,
  containerPort: port,
  hostPort: port,
  hostAddress: address.optional(),
  count: z.int().min(1).max(65_535).optional(),
})

const controllerForm: z.ZodType<StoredController> = z.strictObject({
  id,
  forwarding: z.array(family),
  firewall: z.literal('iptables').optional(),
})

const networkRecord = z.strictObject({
  id,
  name,
  driver: z.string(),
  phase,
  internal: z.boolean(),
  created: z.iso.datetime().optional(),
  labels: texts,
  ipv4: ipv4.optional(),
  ipv6: ipv6.optional(),
  configFrom: id.optional(),
  options: z.unknown(),
})

const networkForm: z.ZodType<StoredNetwork> = z.strictObject({
  record: networkRecord,
  ipam: z.string(),
  ipamOptions: texts.optional(),
  pools: z.array(
    z.strictObject({ family, subPool: cidr.optional(), auxAddresses: z.record(z.string(), address).optional() }),
  ),
})

const endpointRecord = z.strictObject({
  id,
  networkId: id,
  name,
  phase,
  macAddress: z.string().regex(MAC_ADDRESS, 'expected a MAC address'),
  address: ipv4Cidr.optional(),
  address6: ipv6Cidr.optional(),
  linkLocalAddresses: z.array(cidr).optional(),
  aliases: z.array(z.string()),
  ports: z.array(published),
  exposed: z.array(z.strictObject({ protocol, port })),
  routes: z.array(z.strictObject({ destination: cidr, gateway: address.optional() })).optional(),
  options: z.unknown(),
  joined: z.unknown().optional(),
  sandboxId: id.optional(),
  interfaceName: interfaceName.optional(),
  sandboxAliases: texts.optional(),
  priority: z.int().optional(),
})

const endpointForm: z.ZodType<StoredEndpoint> = z.strictObject({
  record: endpointRecord,
  ipamOptions: texts.optional(),
  gatewayFor: z.array(family),
})

const sandboxRecord = z.strictObject({
  id,
  containerId: z.string(),
  phase,
  hostname: z.string(),
  domainname: z.string().optional(),
  labels: texts.optional(),
  key: z.string(),
  namespace: z.enum(['given', 'awaited']).optional(),
})

const sandboxForm: z.ZodType<StoredSandbox> = z.strictObject({
  record: sandboxRecord,
  wishes: z.strictObject({
    hostname: z.string(),
    domainname: z.string().optional(),
    extraHosts: z.array(z.strictObject({ address: z.string(), names: z.array(z.string()) })),
    dns: z
      .strictObject({
        servers: z.array(z.string()).optional(),
        search: z.array(z.string()).optional(),
        options: z.array(z.string()).optional(),
        hostName: z.string().optional(),
      })
      .optional(),
  }),
  endpoints: z.array(id),
})

/** The forms of all records, by what they are records of. */
export interface RecordForms {
  readonly controllers: RecordForm<StoredController>
  readonly networks: RecordForm<StoredNetwork>
  readonly endpoints: RecordForm<StoredEndpoint>
  readonly sandboxes: RecordForm<StoredSandbox>
}

/**
 * The forms that records are written in now, and the ways from older ones. A change that older programs cannot read
 * raises the version of its form, and brings a migration from the version before.
 */
export const recordForms: RecordForms = {
  controllers: { version: 1, migrations: {}, schema: controllerForm },
  networks: { version: 2, migrations: { 1: asItIs }, schema: networkForm },
  endpoints: { version: 2, migrations: { 1: asItIs }, schema: endpointForm },
  sandboxes: { version: 2, migrations: { 1: asItIs }, schema: sandboxForm },
}

/** What a form has that the one before it had not may be missing. */
function asItIs(record: unknown): unknown {
  return record
}

/** Members that every damaged record may still have: what does not validate is left out, and takes nothing along. */
export const members = { id, name, cidr, address, published } as const

const none = undefined
const like = { name: name.catch(''), phase: phase.catch('ready') } as const

/** Records of which nothing is damaged that the packet rules are made of: what they stand for may live by these. */
export const survivingForms = {
  network: z.object({
    record: z.object({
      ...networkRecord.shape,
      ...like,
      created: networkRecord.shape.created.catch(none),
      labels: texts.catch({}),
      configFrom: id.optional().catch(none),
    }),
  }),
  endpoint: z.object({
    record: z.object({
      ...endpointRecord.shape,
      ...like,
      macAddress: endpointRecord.shape.macAddress.catch(''),
      linkLocalAddresses: endpointRecord.shape.linkLocalAddresses.catch(none),
      aliases: z.array(z.string()).catch([]),
      exposed: endpointRecord.shape.exposed.catch([]),
      routes: endpointRecord.shape.routes.catch(none),
      interfaceName: interfaceName.optional().catch(none),
      sandboxAliases: texts.optional().catch(none),
      priority: z.int().optional().catch(none),
    }),
  }),
  sandbox: z.object({
    record: z.object({
      ...sandboxRecord.shape,
      phase: like.phase,
      containerId: z.string().catch(''),
      hostname: z.string().catch(''),
      domainname: z.string().optional().catch(none),
      labels: texts.optional().catch(none),
    }),
  }),
} as const
