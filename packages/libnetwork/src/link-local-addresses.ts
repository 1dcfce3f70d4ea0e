import { containsAddress, formatAddress, parseAddress, parseCidr, type AddressFamily } from '@net/types'
import { InvalidRequestError } from './errors.ts'
import type { CreateEndpointRequest } from './requests.ts'
import type { NetworkEntry } from './state.ts'

/** RFC 3927 section 2.1; RFC 4291 section 2.5.6, which leaves interfaces a /64 of it. */
const LINK_LOCAL: Readonly<Record<AddressFamily, { readonly range: string; readonly prefixLength: number }>> = {
  4: { range: '169.254.0.0/16', prefixLength: 16 },
  6: { range: 'fe80::/10', prefixLength: 64 },
}

/**
 * The link-local addresses asked for, in their one spelling, with prefix length.
 *
 * @throws InvalidRequestError (`ERR_INVALID_REQUEST`), `ERR_INVALID_ADDRESS`
 */
export function linkLocalAddressesOf({ record }: NetworkEntry, request: CreateEndpointRequest): string[] {
  const addresses = (request.linkLocalAddresses ?? []).map((text) => {
    const address = parseAddress(text)
    const { range, prefixLength } = LINK_LOCAL[address.family]
    if (!containsAddress(parseCidr(range), address)) throw refusal(`an address in ${range}`, text)
    if ((address.family === 4 ? record.ipv4 : record.ipv6) === undefined) {
      throw refusal(`an address of a family that network ${record.name} has`, text)
    }
    return `${formatAddress(address)}/${prefixLength}`
  })
  return [...new Set(addresses)]
}

function refusal(expected: string, given: string): InvalidRequestError {
  return new InvalidRequestError('endpoint', 'linkLocalAddresses', `expected ${expected}, got ${given}`)
}
