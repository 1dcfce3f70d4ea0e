import type { IpamDriver } from '@net/ipamapi'
import {
  flagOf,
  InvalidPluginError,
  textOf,
  textsOf,
  type Fields,
  type PluginMethod,
  type PluginOutcome,
} from '@net/plugins'
import { labels, withoutPrefixLength, type CallOptions } from '@net/types'
import { OWNER_OPTION } from './remote-ipam.ts'

/** The calls of the protocol, by name. */
export function methodsOf(driver: IpamDriver): Readonly<Record<string, PluginMethod>> {
  const { addressSpaces, capabilities } = driver
  const constant = (answer: object) => () => Promise.resolve({ answer })
  return {
    GetCapabilities: constant({
      RequiresMACAddress: capabilities.requiresMacAddress,
      RequiresRequestReplay: capabilities.requiresRequestReplay,
    }),
    GetDefaultAddressSpaces: constant({
      LocalDefaultAddressSpace: addressSpaces.local,
      GlobalDefaultAddressSpace: addressSpaces.global,
    }),
    RequestPool: (body, call) => requestPool(driver, body, call),
    ReleasePool: (body, call) => releasePool(driver, body, call),
    RequestAddress: (body, call) => requestAddress(driver, body, call),
    ReleaseAddress: (body, call) => releaseAddress(driver, body, call),
  }
}

async function requestPool(driver: IpamDriver, body: Fields, call: CallOptions): Promise<PluginOutcome> {
  const pool = emptyAsAbsent(textOf(body, 'Pool', refuse))
  const request = {
    addressSpace: textOf(body, 'AddressSpace', refuse),
    pool,
    subPool: emptyAsAbsent(textOf(body, 'SubPool', refuse)),
    // A pool that is named has its own.
    family: pool !== undefined ? undefined : flagOf(body, 'V6', refuse) ? 6 : 4,
    options: textsOf(body, 'Options', refuse),
  } as const
  const taken = await driver.requestPool(request, call)
  return {
    answer: { PoolID: taken.id, Pool: taken.pool, Data: taken.data },
    undo: () => driver.releasePool(taken.id),
  }
}

async function releasePool(driver: IpamDriver, body: Fields, call: CallOptions): Promise<PluginOutcome> {
  await driver.releasePool(textOf(body, 'PoolID', refuse), call)
  return { answer: {} }
}

async function requestAddress(driver: IpamDriver, body: Fields, call: CallOptions): Promise<PluginOutcome> {
  const poolId = textOf(body, 'PoolID', refuse)
  const options = textsOf(body, 'Options', refuse)
  const owner = options[OWNER_OPTION]
  const request = {
    address: emptyAsAbsent(textOf(body, 'Address', refuse)),
    serial: options[labels.ipamSerial] === 'true',
    macAddress: options[labels.macAddress],
    owner,
    purpose: options[labels.requestAddressType] === labels.gateway ? 'gateway' : undefined,
    options,
  } as const
  const taken = await driver.requestAddress(poolId, request, call)
  // Who gave his name asks again for what he did not hear of.
  const isFindable = owner !== undefined || taken.address === ''
  const release = (): Promise<void> => driver.releaseAddress(poolId, withoutPrefixLength(taken.address))
  return { answer: { Address: taken.address, Data: taken.data }, undo: isFindable ? undefined : release }
}

async function releaseAddress(driver: IpamDriver, body: Fields, call: CallOptions): Promise<PluginOutcome> {
  await driver.releaseAddress(textOf(body, 'PoolID', refuse), textOf(body, 'Address', refuse), call)
  return { answer: {} }
}

function emptyAsAbsent(text: string): string | undefined {
  return text === '' ? undefined : text
}

function refuse(why: string): never {
  throw new InvalidPluginError('plugin request', why, 'the fields of the protocol')
}
