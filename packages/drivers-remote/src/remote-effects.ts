import type {
  ChosenAddresses,
  DriverEffects,
  EndpointRecord,
  NetworkPools,
  NetworkRecord,
  SandboxRecord,
} from '@net/driverapi'
import {
  fieldOf,
  isObject,
  PluginReplyError,
  refusalOf,
  textOf,
  type Fields,
  type PluginClient,
  type PluginRefusedError,
} from '@net/plugins'
import { isNetError, type CallOptions } from '@net/types'
import { readEndpointAnswer } from './endpoint-answer.ts'
import { PluginScopeError } from './errors.ts'
import { readJoinAnswer, type JoinAnswer } from './join-answer.ts'
import { endpointMessage, idsOf, networkMessage } from './messages.ts'

/** Has a plugin do what networks and endpoints want of it. */
export class RemoteEffects implements DriverEffects {
  readonly #client: PluginClient
  #isActive = false

  constructor(client: PluginClient) {
    this.#client = client
  }

  /**
   * The handshake. Once it succeeded, nothing is done: a plugin that is started anew is the same plugin.
   *
   * @throws PluginScopeError (`ERR_PLUGIN_SCOPE`), `ERR_PLUGIN_REPLY`, and what its client throws
   */
  async activate(call?: CallOptions): Promise<void> {
    if (this.#isActive) return
    await this.#client.activate(call)
    const capabilities = await this.#client.call('GetCapabilities', undefined, call)
    const scope = readScope(capabilities, 'Scope')
    // It has to be one, if it is there; nothing here goes by it.
    if ((fieldOf(capabilities, 'ConnectivityScope') ?? '') !== '') readScope(capabilities, 'ConnectivityScope')
    if (scope !== 'local') throw new PluginScopeError(this.#client.name, scope)
    this.#isActive = true
  }

  async createNetwork(network: NetworkRecord, pools: NetworkPools, call?: CallOptions): Promise<void> {
    await this.#ask('CreateNetwork', networkMessage(network, pools), call)
  }

  async deleteNetwork({ id }: NetworkRecord): Promise<void> {
    await this.#ask('DeleteNetwork', { NetworkID: id })
  }

  async createEndpoint(network: NetworkRecord, endpoint: EndpointRecord, call?: CallOptions): Promise<ChosenAddresses> {
    const answer = await this.#ask('CreateEndpoint', endpointMessage(network, endpoint), call)
    return readEndpointAnswer(this.#client.name, endpoint, answer)
  }

  async deleteEndpoint(network: NetworkRecord, endpoint: EndpointRecord): Promise<void> {
    await this.#ask('DeleteEndpoint', idsOf(network, endpoint))
  }

  async join(
    network: NetworkRecord,
    endpoint: EndpointRecord,
    sandbox: SandboxRecord,
    call?: CallOptions,
  ): Promise<JoinAnswer> {
    const body = { ...idsOf(network, endpoint), SandboxKey: sandbox.key, Options: sandbox.labels ?? {} }
    return readJoinAnswer(await this.#ask('Join', body, call))
  }

  async leave(network: NetworkRecord, endpoint: EndpointRecord): Promise<void> {
    await this.#ask('Leave', idsOf(network, endpoint))
  }

  async becomeGateway(network: NetworkRecord, endpoint: EndpointRecord, call?: CallOptions): Promise<void> {
    await unlessUnknown(this.#ask('ProgramExternalConnectivity', { ...idsOf(network, endpoint), Options: {} }, call))
  }

  async ceaseGateway(network: NetworkRecord, endpoint: EndpointRecord): Promise<void> {
    await unlessUnknown(this.#ask('RevokeExternalConnectivity', idsOf(network, endpoint)))
  }

  async endpointInfo(
    network: NetworkRecord,
    endpoint: EndpointRecord,
    call?: CallOptions,
  ): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.#ask('EndpointOperInfo', idsOf(network, endpoint), call)
    const value = fieldOf(answer, 'Value') ?? {}
    return isObject(value) ? value : refusalOf('NetworkDriver.EndpointOperInfo')('Value is no object')
  }

  async #ask(method: string, body: object, call?: CallOptions): Promise<Fields> {
    await this.activate(call)
    return this.#client.call(method, body, call)
  }
}

function readScope(capabilities: Fields, field: string): 'local' | 'global' {
  const method = 'NetworkDriver.GetCapabilities'
  const scope = textOf(capabilities, field, refusalOf(method))
  if (scope === 'local' || scope === 'global') return scope
  throw new PluginReplyError(method, `${field} is neither local nor global: ${JSON.stringify(scope.slice(0, 80))}`)
}

/** What older plugins have no call for they do not need to be told. */
async function unlessUnknown(asked: Promise<unknown>): Promise<void> {
  try {
    await asked
  } catch (error) {
    if (!isNetError(error, 'ERR_PLUGIN_REFUSED') || (error as Partial<PluginRefusedError>).status !== 404) throw error
  }
}
