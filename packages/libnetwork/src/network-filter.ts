import type { NetworkEntry } from './state.ts'

/** Which networks are meant: those that all of it is true of. */
export interface NetworkFilter {
  readonly driver?: string | undefined
  /** Labels that they have, with these values. */
  readonly labels?: Readonly<Record<string, string>> | undefined
}

export function matchesNetwork({ record }: NetworkEntry, { driver, labels = {} }: NetworkFilter): boolean {
  if (driver !== undefined && record.driver !== driver) return false
  return Object.entries(labels).every(([name, value]) => record.labels[name] === value)
}
