import { NetError } from '@net/types'

/** The plugin's networks span several hosts, which share what they know of them: that is not done here. */
export class PluginScopeError extends NetError<'ERR_PLUGIN_SCOPE'> {
  constructor(plugin: string, scope: string) {
    super(`networks of plugin ${plugin} are of scope ${scope}: expected local`, {
      code: 'ERR_PLUGIN_SCOPE',
      kind: 'not-implemented',
    })
  }
}

/** Ports of this host lead to no endpoint of a plugin's network. */
export class PortsUnsupportedError extends NetError<'ERR_PORTS_UNSUPPORTED'> {
  constructor(network: string, driver: string) {
    super(`network ${network} publishes no ports: it is one of plugin ${driver}`, {
      code: 'ERR_PORTS_UNSUPPORTED',
      kind: 'forbidden',
    })
  }
}

/** A plugin changed what an endpoint has already. */
export class InterfaceModifiedError extends NetError<'ERR_INTERFACE_MODIFIED'> {
  constructor(plugin: string, what: string, { had, got }: { readonly had: string; readonly got: string }) {
    super(`plugin ${plugin} modified interface: ${what} is ${had} already, got ${got}`, {
      code: 'ERR_INTERFACE_MODIFIED',
      kind: 'forbidden',
    })
  }
}
