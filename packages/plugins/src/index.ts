/**
 * Speaks with plugins: programs that are found by name and asked over HTTP on a socket. Both ends.
 *
 * @packageDocumentation
 */

export {
  InvalidPluginError,
  PluginNotFoundError,
  PluginRefusedError,
  PluginReplyError,
  PluginSocketError,
  PluginUnavailableError,
} from './errors.ts'
export { PluginClient, type PluginDialect, type PluginKind } from './plugin-client.ts'
export type { PluginMethod, PluginOutcome } from './plugin-desk.ts'
export { fieldOf, flagOf, isObject, refusalOf, textOf, textsOf, type Fields } from './plugin-fields.ts'
export type { PluginOptions } from './plugin-options.ts'
export { servePlugin, type RunningPlugin, type ServedPlugin, type ServePluginOptions } from './serve-plugin.ts'
