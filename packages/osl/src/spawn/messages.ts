import type { Capability, OwnView } from '@net/netlink-ffi'

/** A program to start in a sandbox. */
export interface Program {
  /** Path of the sandbox' network namespace. */
  readonly key: string
  readonly command: string
  readonly args: readonly string[]
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** What it sees in the place of the host's. */
  readonly view: OwnView
}

/** What a thread is started with: it starts programs of these capabilities, and no others. */
export interface ThreadData {
  readonly capabilities: readonly Capability[]
}

/** An error, so that it comes across between threads: what is beside its message would be lost. */
export interface Failure {
  readonly message: string
  readonly properties: Readonly<Record<string, unknown>>
}

/** What a thread is told. */
export type Order =
  | {
      readonly kind: 'start'
      readonly id: number
      readonly program: Program
      /** Descriptors of the process, or none. */
      readonly stdio: readonly (number | 'ignore')[]
    }
  | { readonly kind: 'kill'; readonly id: number; readonly signal: number | NodeJS.Signals | undefined }

/** What a thread tells. */
export type Report =
  | { readonly kind: 'started'; readonly id: number; readonly pid: number }
  | { readonly kind: 'failed'; readonly id: number; readonly failure: Failure }
  | {
      readonly kind: 'exited'
      readonly id: number
      readonly code: number | null
      readonly signal: NodeJS.Signals | null
    }
