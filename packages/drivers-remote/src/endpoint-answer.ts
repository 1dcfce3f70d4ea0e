import type { ChosenAddresses, EndpointRecord } from '@net/driverapi'
import { fieldOf, isObject, refusalOf, textOf, type Fields } from '@net/plugins'
import { formatAddress, parseCidr, parseMacAddress } from '@net/types'
import { InterfaceModifiedError } from './errors.ts'

/**
 * Reads the answer to `CreateEndpoint`: what the plugin chose of what the endpoint did not have.
 *
 * @throws PluginReplyError (`ERR_PLUGIN_REPLY`), InterfaceModifiedError (`ERR_INTERFACE_MODIFIED`)
 */
export function readEndpointAnswer(plugin: string, endpoint: EndpointRecord, answer: Fields): ChosenAddresses {
  const refuse = refusalOf('NetworkDriver.CreateEndpoint')
  const chosen = fieldOf(answer, 'Interface')
  if (chosen === undefined) return {}
  if (!isObject(chosen)) return refuse('Interface is no object')
  const reads = { plugin, chosen, refuse }
  return defined({
    address: readOnce(reads, 'Address', { had: endpoint.address, read: cidrOf(4) }),
    address6: readOnce(reads, 'AddressIPv6', { had: endpoint.address6, read: cidrOf(6) }),
    macAddress: readOnce(reads, 'MacAddress', { had: endpoint.macAddress, read: parseMacAddress }),
  })
}

interface Reads {
  readonly plugin: string
  readonly chosen: Fields
  readonly refuse: (why: string) => never
}

/** A field that can be set only where the endpoint has nothing yet; empty means that it is left as it is. */
function readOnce(
  { plugin, chosen, refuse }: Reads,
  field: string,
  { had, read }: { readonly had: string | undefined; readonly read: (text: string) => string },
): string | undefined {
  const text = textOf(chosen, field, refuse)
  if (text === '') return undefined
  if (had !== undefined && had !== '') throw new InterfaceModifiedError(plugin, field, { had, got: text.slice(0, 80) })
  try {
    return read(text)
  } catch (error) {
    return refuse(`${field}: ${error instanceof Error ? error.message.slice(0, 200) : 'it is none'}`)
  }
}

function cidrOf(family: 4 | 6): (text: string) => string {
  return (text) => {
    const { address, prefixLength } = parseCidr(text)
    if (address.family !== family) throw new Error(`expected IPv${family}`)
    return `${formatAddress(address)}/${prefixLength}`
  }
}

function defined(all: ChosenAddresses): ChosenAddresses {
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}
