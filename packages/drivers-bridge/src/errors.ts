import { NetError } from '@net/types'

/** An option or label has a value that it cannot have. */
export class InvalidOptionError extends NetError<'ERR_INVALID_OPTION'> {
  constructor(option: string, value: unknown, expected: string) {
    super(`invalid value ${JSON.stringify(value)} of ${option}: expected ${expected}`, {
      code: 'ERR_INVALID_OPTION',
      kind: 'bad-request',
    })
  }
}

/** Another network has this bridge. */
export class BridgeInUseError extends NetError<'ERR_BRIDGE_IN_USE'> {
  constructor(bridge: string, network: string) {
    super(`bridge ${bridge} belongs to network ${network}`, { code: 'ERR_BRIDGE_IN_USE', kind: 'forbidden' })
  }
}

/** An interface has the name that the network's bridge is to have, and is none. */
export class NotABridgeError extends NetError<'ERR_NOT_A_BRIDGE'> {
  constructor(name: string) {
    super(`existing interface ${name} is not a bridge`, { code: 'ERR_NOT_A_BRIDGE', kind: 'forbidden' })
  }
}

/** The default network is to use a bridge of another name than usual: that one has to be made by hand. */
export class BridgeMissingError extends NetError<'ERR_BRIDGE_MISSING'> {
  constructor(name: string) {
    super(`bridge device with non default name ${name} must be created manually`, {
      code: 'ERR_BRIDGE_MISSING',
      kind: 'not-found',
    })
  }
}

/** A bridge that was there before has another address in the network's subnet. */
export class BridgeAddressError extends NetError<'ERR_BRIDGE_ADDRESS'> {
  constructor(bridge: string, address: string, gateway: string) {
    super(`bridge ${bridge} has address ${address}, not ${gateway}: expected a network with that gateway and subnet`, {
      code: 'ERR_BRIDGE_ADDRESS',
      kind: 'forbidden',
    })
  }
}

/** Ports of an internal network cannot be published: nothing reaches it from outside. */
export class InternalNetworkError extends NetError<'ERR_INTERNAL_NETWORK'> {
  constructor(network: string) {
    super(`network ${network} is internal: its ports cannot be published`, {
      code: 'ERR_INTERNAL_NETWORK',
      kind: 'bad-request',
    })
  }
}

/** The interface name that the endpoint asks for is taken in the sandbox. */
export class InterfaceNameTakenError extends NetError<'ERR_INTERFACE_NAME_TAKEN'> {
  constructor(name: string) {
    super(`interface name ${name} is taken in the sandbox`, { code: 'ERR_INTERFACE_NAME_TAKEN', kind: 'forbidden' })
  }
}
