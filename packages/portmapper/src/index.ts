/**
 * Container ports onto host ports; the userland proxy.
 *
 * @packageDocumentation
 */

export {
  ForwardExistsError,
  InvalidArgumentError,
  InvalidControlMessageError,
  InvalidForwardError,
  ProxyGoneError,
  ProxyRefusedError,
  ProxyStartError,
  ProxyTimeoutError,
  SctpUnsupportedError,
} from './errors.ts'
export type { Forward } from './forward.ts'
export {
  openProxyProcess,
  type ForwardChange,
  type ProxyProcess,
  type ProxyProcessDeps,
  type ProxyProcessOptions,
} from './proxy-process.ts'
export { UserlandProxy, type OpenForward, type ProxyDeps, type ProxyOptions } from './proxy.ts'
