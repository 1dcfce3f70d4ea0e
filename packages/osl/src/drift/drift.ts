import type { DriftKind } from './drift-event.ts'

/** One thing that is not as it is to be. */
export interface Drift {
  readonly what: DriftKind
  readonly subject: string
  readonly sandbox?: string | undefined
  readonly detail?: string | undefined
  /** Puts it right; absent where that is not ours to do, or cannot be done. */
  readonly repair?: () => void
}
