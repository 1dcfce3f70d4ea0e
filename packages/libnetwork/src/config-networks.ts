import type { NetworkDriver } from '@net/driverapi'
import { nullIpam } from '@net/ipam'
import { NameTable } from '@net/resolver'
import { randomId, Rollback, type CallOptions } from '@net/types'
import type { Core } from './core.ts'
import {
  ConfigConflictError,
  ConfigInUseError,
  ConfigOnlyError,
  InvalidRequestError,
  NoSuchNetworkError,
} from './errors.ts'
import { parseCreateNetwork, type CreateNetworkRequest } from './requests.ts'
import type { NetworkEntry } from './state.ts'
import { poolsOf } from './subnets.ts'
import { checkReady } from './usable.ts'

/** The settings that networks made from one take over. */
export type NetworkSettings = Pick<CreateNetworkRequest, 'ipam' | 'ipv4' | 'ipv6' | 'labels' | 'options'>

const SETTINGS = ['ipam', 'ipv4', 'ipv6', 'labels', 'options'] as const
const TYPE = 'config-only'

/** The driver of networks that are nothing but settings for others: the kernel knows nothing of them. */
export const configDriver: NetworkDriver = {
  type: TYPE,
  scope: 'local',
  checkNetwork: ({ name }) => {
    throw new ConfigOnlyError(name)
  },
  checkEndpoint: ({ name }) => {
    throw new ConfigOnlyError(name)
  },
  readNetworkOptions: (stored) => {
    const { name: _name, ...settings } = parseCreateNetwork({ ...(stored as NetworkSettings), name: TYPE })
    return settings
  },
  nameInterface: () => '',
  planNetwork: () => ({ links: [], sysctls: [], firewall: [] }),
  planEndpoint: () => ({ sandbox: { links: [], gateways: {} }, firewall: [], ports: [] }),
  planPorts: () => [],
  describe: () => ({}),
}

/** Whether a network is nothing but settings. */
export function isConfigOnly({ record }: NetworkEntry): boolean {
  return record.driver === TYPE
}

/**
 * Refuses what cannot be the driver of networks that name none. One that nobody knows may be a plugin: it is looked for
 * when a network is made.
 *
 * @throws InvalidRequestError (`ERR_INVALID_REQUEST`)
 */
export function checkDefaultDriver(what: string, type: string): void {
  if (type !== '' && type !== TYPE) return
  throw new InvalidRequestError(what, 'defaultDriver', `expected a driver of networks, got ${JSON.stringify(type)}`)
}

/** Keeps settings for networks to come, under the name of a network. */
export async function createConfig(
  core: Core,
  request: CreateNetworkRequest,
  call?: CallOptions,
): Promise<NetworkEntry> {
  const { name, labels = {} } = request
  if (request.internal === true) throw new ConfigConflictError(name, 'internal')
  if (request.scope !== undefined) throw new ConfigConflictError(name, 'scope')
  if (request.configFrom !== undefined) throw new ConfigConflictError(name, 'configFrom')
  poolsOf(request)
  const id = randomId()
  using _lock = await core.locks.lock(id, call)
  await using rollback = new Rollback()
  const entry: NetworkEntry = {
    record: {
      ...{ id, name, driver: TYPE, phase: 'creating', internal: false, created: new Date().toISOString(), labels },
      options: Object.fromEntries(SETTINGS.flatMap((key) => (request[key] === undefined ? [] : [[key, request[key]]]))),
    },
    ...{ ipam: nullIpam(), pools: [], prefixes: [], names: new NameTable(name), endpointsByName: new Map() },
  }
  core.state.addNetwork(entry)
  rollback.defer('record network', () => {
    core.state.removeNetwork(entry)
  })
  await core.records.keep({ networks: [entry] }, call)
  entry.record = { ...entry.record, phase: 'ready' }
  rollback.commit()
  return entry
}

/**
 * The request with the settings of the network that it names in `configFrom`, and that network.
 *
 * @throws ConfigConflictError (`ERR_CONFIG_CONFLICT`), NoSuchNetworkError (`ERR_NO_SUCH_NETWORK`), BusyError (`ERR_BUSY`)
 */
export function applyConfig(
  core: Core,
  request: CreateNetworkRequest,
): { readonly request: CreateNetworkRequest; readonly config?: NetworkEntry } {
  const { name, configFrom } = request
  if (configFrom === undefined) return { request }
  const asked = SETTINGS.find((key) => request[key] !== undefined)
  if (asked !== undefined) throw new ConfigConflictError(name, asked)
  const config = core.state.findNetwork(configFrom)
  if (config === undefined || !isConfigOnly(config)) throw new NoSuchNetworkError(configFrom)
  checkReady(`network ${config.record.name}`, config)
  // Written by createConfig, after the request was checked.
  return { request: { ...request, ...(config.record.options as NetworkSettings) }, config }
}

/** @throws ConfigInUseError (`ERR_CONFIG_IN_USE`), naming the networks that were made from it */
export function refuseInUse(core: Core, { record }: NetworkEntry): void {
  const users = [...core.state.networks.values()].filter((network) => network.record.configFrom === record.id)
  if (users.length === 0) return
  throw new ConfigInUseError(
    record.name,
    users.map((user) => user.record.name),
  )
}
