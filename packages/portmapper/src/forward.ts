import { formatAddress, formatPorts, isAddress, parseAddress, type Protocol } from '@net/types'
import { z } from 'zod'
import { InvalidForwardError } from './errors.ts'

/** A port of the host, or several in a row, and where what comes to it goes. Plain JSON. */
export interface Forward {
  readonly protocol: Protocol
  /** The host's address; `0.0.0.0` or `::` for every one of its family, and of that alone. */
  readonly address: string
  /** 0: any that is free. */
  readonly port: number
  readonly containerAddress: string
  readonly containerPort: number
  /** How many ports in a row, onto as many of the container. @defaultValue 1 */
  readonly count?: number | undefined
}

const LAST_PORT = 65_535
const address = z.string().max(45).refine(isAddress, 'expected an IPv4 or IPv6 address')
const containerPort = z.int().min(1).max(LAST_PORT)

/** The shape of a {@link Forward}, for whoever reads one from outside. */
export const forwardForm: z.ZodType<Forward> = z
  .strictObject({
    protocol: z.enum(['tcp', 'udp', 'sctp']),
    address,
    port: z.int().min(0).max(LAST_PORT),
    containerAddress: address,
    containerPort,
    count: z.int().min(1).max(LAST_PORT).optional(),
  })
  .refine(endsInRange, { path: ['count'], message: `expected ports up to ${LAST_PORT}` })

/** A forward in its one spelling. @throws InvalidForwardError (`ERR_INVALID_FORWARD`) */
export function checkForward(forward: Forward): Forward {
  const result = forwardForm.safeParse(forward)
  if (!result.success) {
    const [issue] = result.error.issues
    throw new InvalidForwardError(issue?.path.join('.') ?? '', issue?.message ?? 'not understood')
  }
  const { count = 1, ...rest } = result.data
  return {
    ...rest,
    address: formatAddress(parseAddress(rest.address)),
    containerAddress: formatAddress(parseAddress(rest.containerAddress)),
    ...(count === 1 ? {} : { count }),
  }
}

/** What only one forward of a proxy can have: protocol, address and first port. */
export function forwardKey({ protocol, address, port }: Forward): string {
  return `${protocol}/${address}/${port}`
}

/** Whether two forwards in their one spelling are the same. */
export function isSameForward(one: Forward | undefined, other: Forward | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return formatForward(one) === formatForward(other)
}

/** A forward in words: `tcp [::1]:8080 to 172.17.0.2:80`. */
export function formatForward({ protocol, port, count = 1, ...forward }: Forward): string {
  const place = (host: string, first: number): string =>
    `${host.includes(':') ? `[${host}]` : host}:${formatPorts(first, count)}`
  return `${protocol} ${place(forward.address, port)} to ${place(forward.containerAddress, forward.containerPort)}`
}

function endsInRange({ port, containerPort, count = 1 }: Forward): boolean {
  return Math.max(port, containerPort) + count - 1 <= LAST_PORT && (port > 0 || count === 1)
}
