import { addressFromBytes, formatAddress } from '@net/types'

const OCTETS = /^((?:(?:0|[1-9]\d{0,2})\.){4})in-addr\.arpa$/
const NIBBLES = /^((?:[0-9a-f]\.){32})ip6\.arpa$/

/**
 * The address that a name of a PTR question stands for: RFC 1035, 3.5, and RFC 3596, 2.5. Undefined
 * for every other name, a network's or a service's among them.
 *
 * @param name - folded, see `foldName`
 */
export function addressOfReverseName(name: string): string | undefined {
  const octets = OCTETS.exec(name)?.[1]?.split('.').slice(0, 4).reverse().map(Number)
  if (octets?.every((octet) => octet <= 255) === true) return octets.join('.')
  const digits = NIBBLES.exec(name)?.[1]?.replaceAll('.', '')
  if (digits === undefined) return undefined
  const bytes = Uint8Array.from({ length: 16 }, (_, at) =>
    parseInt(`${digits[31 - 2 * at] ?? ''}${digits[30 - 2 * at] ?? ''}`, 16),
  )
  return formatAddress(addressFromBytes(bytes))
}
