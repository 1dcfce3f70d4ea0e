/**
 * Sandboxes of the operating system, and the executor that carries plans out.
 *
 * @packageDocumentation
 */

export {
  BridgeFullError,
  InterfaceExistsError,
  LinkNotFoundError,
  NotPermittedError,
  SandboxExistsError,
  SandboxNotFoundError,
  SysctlError,
  UnsupportedKernelError,
} from './errors.ts'
export { Executor, type ExecutorDeps, type ExecutorOptions } from './executor.ts'
export { inSandbox } from './sandbox-namespace.ts'
export type { Program } from './spawn/messages.ts'
export { SandboxProcess, type SandboxProcessEvents } from './spawn/sandbox-process.ts'
export type { Stdio } from './spawn/stdio.ts'
export type { StartOptions } from './spawner.ts'
