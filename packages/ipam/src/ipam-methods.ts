import type { IpamDriver } from '@net/ipamapi'
import { labels, withoutPrefixLength, type CallOptions } from '@net/types'
import { InvalidPluginError } from './errors.ts'
import { flagOf, textOf, textsOf, type Fields } from './plugin-fields.ts'
import { OWNER_OPTION } from './remote-ipam.ts'

/** What a call came to. */
export interface Outcome {
  readonly answer: object
  /** Undoes it when nobody is there any more to be told. */
  readonly undo?: (() => Promise<void>) | undefined
}

/** A call of the protocol. */
export type Method = (body: Fields, call: CallOptions) => Promise<Outcome>

/** The calls of the protocol, by path. */
export function methodsOf(driver: IpamDriver): ReadonlyMap<string, Method> {
  const { addressSpaces, capabilities } = driver
  const constant = (answer: object) => () => Promise.resolve({ answer })
  return new Map<string, Method>([
    ['/Plugin.Activate', constant({ Implements: ['IpamDriver'] })],
    [
      '/IpamDriver.GetCapabilities',
      constant({
        RequiresMACAddress: capabilities.requiresMacAddress,
        RequiresRequestReplay: capabilities.requiresRequestReplay,
      }),
    ],
    [
      '/IpamDriver.GetDefaultAddressSpaces',
      constant({ LocalDefaultAddressSpace: addressSpaces.local, GlobalDefaultAddressSpace: addressSpaces.global }),
    ],
    ['/IpamDriver.RequestPool', (body, call) => requestPool(driver, body, call)],
    ['/IpamDriver.ReleasePool', (body, call) => releasePool(driver, body, call)],
    ['/IpamDriver.RequestAddress', (body, call) => requestAddress(driver, body, call)],
    ['/IpamDriver.ReleaseAddress', (body, call) => releaseAddress(driver, body, call)],
  ])
}

async function requestPool(driver: IpamDriver, body: Fields, call: CallOptions): Promise<Outcome> {
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

async function releasePool(driver: IpamDriver, body: Fields, call: CallOptions): Promise<Outcome> {
  await driver.releasePool(textOf(body, 'PoolID', refuse), call)
  return { answer: {} }
}

async function requestAddress(driver: IpamDriver, body: Fields, call: CallOptions): Promise<Outcome> {
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

async function releaseAddress(driver: IpamDriver, body: Fields, call: CallOptions): Promise<Outcome> {
  await driver.releaseAddress(textOf(body, 'PoolID', refuse), textOf(body, 'Address', refuse), call)
  return { answer: {} }
}

function emptyAsAbsent(text: string): string | undefined {
  return text === '' ? undefined : text
}

function refuse(why: string): never {
  throw new InvalidPluginError('plugin request', why, 'the fields of the protocol')
}
