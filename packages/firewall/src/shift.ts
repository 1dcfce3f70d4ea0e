/** Ports of the host from `first` to `last`, and the new ports that the kernel is told of. */
export interface Shift {
  readonly first: number
  readonly last: number
  readonly newFirst: number
  readonly newLast: number
}

const LAST_PORT = 65_535

/**
 * What the kernel has to be told so that `count` ports from `hostPort` on lead to those from `containerPort` on.
 *
 * It takes a first and a last new port, and a port becomes the first one plus itself modulo their number
 * (NF_NAT_RANGE_PROTO_OFFSET; it could subtract the first old port before, but nftables has no way to say so).
 * Towards higher ports that number is one that no port of the range reaches, and the first new port is the distance.
 * Towards lower ones it is one that each port of the range has in it once. That is so below twice the number: a range
 * that reaches further is cut there, into pieces that double in length.
 */
export function shiftsOf(hostPort: number, containerPort: number, count: number): Shift[] {
  const last = hostPort + count - 1
  if (containerPort >= hostPort) {
    const distance = containerPort - hostPort
    return [{ first: hostPort, last, newFirst: distance, newLast: distance + last }]
  }
  return shiftsDown(hostPort, last, hostPort - containerPort)
}

function shiftsDown(hostPort: number, hostLast: number, distance: number): Shift[] {
  const shifts: Shift[] = []
  for (let first = hostPort; first <= hostLast;) {
    // Twice the number less the distance is the last new port, and has to be one.
    const number = Math.min(first, Math.floor((LAST_PORT + 1 + distance) / 2))
    const last = Math.min(hostLast, 2 * number - 1)
    shifts.push({ first, last, newFirst: number - distance, newLast: 2 * number - 1 - distance })
    first = last + 1
  }
  return shifts
}
