/** What is known of a name. */
export interface NameRecords {
  /** Addresses of both families, in no order that means anything: answers begin with another one each time. */
  readonly addresses: readonly string[]
  /** Seconds that an asker may keep them. @defaultValue 600 */
  readonly ttl?: number
}

/** Where a service is reached. */
export interface ServiceTarget {
  readonly target: string
  readonly port: number
  /** Addresses of the target, to save the asker a question. */
  readonly addresses: readonly string[]
}

/**
 * Answers to what is asked, from memory: sources are asked in order, on every query, and the first
 * that knows a name speaks for all of it.
 */
export interface RecordSource {
  /** Grows whenever an answer may have changed: answers are kept ready until then. */
  readonly revision: number
  /** Undefined: not known here. A known name without addresses exists, and has none. */
  findName(name: string): NameRecords | undefined
  /** What `_service._protocol.name` leads to; undefined: not known here. */
  findService(name: string): readonly ServiceTarget[] | undefined
  /** The name of an address; undefined: not known here. */
  findAddress(address: string): string | undefined
}
