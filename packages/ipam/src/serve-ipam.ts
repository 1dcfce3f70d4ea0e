import type { IpamDriver } from '@net/ipamapi'
import { servePlugin, type RunningPlugin, type ServePluginOptions } from '@net/plugins'
import type { Logger } from '@net/types'
import { methodsOf } from './ipam-methods.ts'
import { answerOf } from './remote-error.ts'

/** What a served address manager is given to work with. */
export interface ServeIpamDeps {
  readonly logger?: Logger | undefined
}

/**
 * Serves an address manager as a plugin, for Docker or for {@link remoteIpam}. Closing the plugin leaves the address
 * manager as it is.
 *
 * @param driver - borrowed
 * @throws `ERR_PLUGIN_SOCKET`, `ERR_INVALID_PLUGIN`
 */
export function serveIpam(
  driver: IpamDriver,
  options: ServePluginOptions,
  { logger }: ServeIpamDeps = {},
): Promise<RunningPlugin> {
  return servePlugin({ kind: 'IpamDriver', methods: methodsOf(driver), answerOf, logger }, options)
}
