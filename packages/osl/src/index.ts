/**
 * Sandboxes of the operating system, and the executor that carries plans out.
 *
 * @packageDocumentation
 */

export type { DriftAnswer, DriftEvent, DriftKind } from './drift/drift-event.ts'
export {
  AddressConflictError,
  BridgeFilteringUnsupportedError,
  BridgeFullError,
  BridgeGroupedError,
  InvalidNamespaceError,
  InterfaceExistsError,
  LinkInUseError,
  LinkNotFoundError,
  NotPermittedError,
  RouteExistsError,
  SandboxExistsError,
  SandboxNotFoundError,
  SysctlError,
  UnsupportedKernelError,
} from './errors.ts'
export { Executor, type ExecutorDeps, type ExecutorOptions, type Restored, type HostEvent } from './executor.ts'
export type { Difference } from './inspect/compare.ts'
export type {
  HostLinkReport,
  HostReport,
  LinkReport,
  RouteReport,
  SandboxLinkReport,
  SandboxReport,
} from './inspect/host-report.ts'
export type { NeighboursEvent } from './neighbour-table.ts'
export { inSandbox, isSandbox } from './sandbox-namespace.ts'
export type { Program } from './spawn/messages.ts'
export { SandboxProcess, type SandboxProcessEvents } from './spawn/sandbox-process.ts'
export type { Stdio } from './spawn/stdio.ts'
export type { StartOptions } from './spawner.ts'
export type { ForwardingMemory } from './forwarding.ts'
