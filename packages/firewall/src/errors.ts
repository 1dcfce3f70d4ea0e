import { NetError } from '@net/types'

/** A table of the wanted name is there, and its owner is somebody else. */
export class TableInUseError extends NetError<'ERR_TABLE_IN_USE'> {
  constructor(table: string, owner: string, found: string | undefined) {
    super(
      `table ${table} belongs to ${found === undefined ? 'somebody else' : JSON.stringify(found)}, not to ${owner}`,
      {
        code: 'ERR_TABLE_IN_USE',
        kind: 'forbidden',
      },
    )
  }
}

/** The kernel lacks something that the packet rules are made of. */
export class FirewallUnsupportedError extends NetError<'ERR_FIREWALL_UNSUPPORTED'> {
  constructor(feature: string, cause: unknown) {
    super(`packet rules need ${feature}, which this kernel does not have`, {
      code: 'ERR_FIREWALL_UNSUPPORTED',
      kind: 'not-implemented',
      cause,
    })
  }
}

/** The process may not change packet rules. */
export class FirewallNotPermittedError extends NetError<'ERR_NOT_PERMITTED'> {
  constructor(cause: unknown) {
    super('packet rules may be changed with CAP_NET_ADMIN only: run as root or in a user namespace of your own', {
      code: 'ERR_NOT_PERMITTED',
      kind: 'forbidden',
      cause,
    })
  }
}

/** The port of the host leads to a container already. */
export class PortPublishedError extends NetError<'ERR_PORT_PUBLISHED'> {
  constructor(port: string, other = port) {
    const as = other === port ? '' : `, as part of ${other}`
    super(`port is published already: ${port}${as}`, { code: 'ERR_PORT_PUBLISHED', kind: 'forbidden' })
  }
}

/** The bridge is the one of another network. */
export class NetworkKnownError extends NetError<'ERR_NETWORK_KNOWN'> {
  constructor(bridge: string) {
    super(`bridge has its packet rules already: ${bridge}`, { code: 'ERR_NETWORK_KNOWN', kind: 'forbidden' })
  }
}

/** Packets of the family are kept from passing between others already. */
export class ForwardingKnownError extends NetError<'ERR_FORWARDING_KNOWN'> {
  constructor(family: number) {
    super(`forwarding is for networks only already: IPv${family}`, { code: 'ERR_FORWARDING_KNOWN', kind: 'forbidden' })
  }
}

/** What is asked for makes no sense. */
export class InvalidFactError extends NetError<'ERR_INVALID_FACT'> {
  constructor(what: string, value: string, expected: string) {
    super(`invalid ${what} ${JSON.stringify(value)}: expected ${expected}`, {
      code: 'ERR_INVALID_FACT',
      kind: 'bad-request',
    })
  }
}

/** Other programs changed the rules of the kernel faster than ours could be put in place. */
export class FirewallContendedError extends NetError<'ERR_FIREWALL_CONTENDED'> {
  constructor(attempts: number, cause: unknown) {
    super(`other programs changed packet rules at the same time, ${attempts} times`, {
      code: 'ERR_FIREWALL_CONTENDED',
      kind: 'retry',
      cause,
    })
  }
}

/** A program of iptables is not to be found. */
export class IptablesMissingError extends NetError<'ERR_IPTABLES_MISSING'> {
  constructor(command: string, cause: unknown) {
    super(`${command} could not be started: install iptables, or use nftables`, {
      code: 'ERR_IPTABLES_MISSING',
      kind: 'not-implemented',
      cause,
    })
  }
}

/** A program of iptables refused what it was told. */
export class IptablesFailedError extends NetError<'ERR_IPTABLES_FAILED'> {
  constructor(command: string, status: number | null, words: string) {
    super(`${command} failed with status ${status ?? 'none'}: ${words}`, {
      code: 'ERR_IPTABLES_FAILED',
      kind: 'no-service',
    })
  }
}
