import type { Subnet } from '@net/driverapi'
import type { IpamDriver } from '@net/ipamapi'
import { cidrsOverlap, containsAddress, parseCidr, type AddressFamily, type Cidr } from '@net/types'
import { InvalidIpamAnswerError } from './errors.ts'

/** What no interface can have an address in: RFC 1122 section 3.2.1.3, RFC 4291 sections 2.4 and 2.7. */
const UNUSABLE = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/4', '::/8', 'ff00::/8'].map(parseCidr)

/** Whether no interface can have some address of a pool. */
export function isUnusable(pool: Cidr): boolean {
  return UNUSABLE.some((prefix) => cidrsOverlap(prefix, pool))
}

/** An address manager may be anybody's: what it says does not reach the kernel unseen. @throws `ERR_INVALID_IPAM_ANSWER` */
export function checkSubnet(ipam: IpamDriver, family: AddressFamily, { pool, gateway }: Subnet): void {
  const prefix = cidrOf(pool)
  if (prefix?.address.family !== family) throw new InvalidIpamAnswerError(ipam.name, pool, `an IPv${family} pool`)
  if (isUnusable(prefix)) throw new InvalidIpamAnswerError(ipam.name, pool, 'addresses that interfaces can have')
  if (!isOf(prefix, gateway)) throw new InvalidIpamAnswerError(ipam.name, gateway, `a gateway in pool ${pool}`)
}

/** As {@link checkSubnet}, of an address for an endpoint, with the length of its pool's prefix. */
export function checkAddress(ipam: IpamDriver, pool: string, address: string): void {
  if (!isOf(parseCidr(pool), address)) {
    throw new InvalidIpamAnswerError(ipam.name, address, `an address in pool ${pool}, with its prefix length`)
  }
}

/** With another prefix length, an interface would reach others than those of the pool. */
function isOf(pool: Cidr, text: string): boolean {
  const cidr = cidrOf(text)
  return cidr?.prefixLength === pool.prefixLength && containsAddress(pool, cidr.address)
}

function cidrOf(text: string): Cidr | undefined {
  try {
    return parseCidr(text)
  } catch {
    return undefined
  }
}
