/** Where in a table the keys with a prefix lie. */
export interface KeyRange {
  readonly start: Buffer
  /** Not included. Absent: up to the end. */
  readonly end?: Buffer
}

/** The keys that begin with `prefix`. Keys of one NUL or less do not occur, and LMDB takes no empty one. */
export function rangeOf(prefix: string, after = ''): KeyRange {
  const bytes = Buffer.from(prefix)
  const behind = Buffer.concat([Buffer.from(after), Buffer.of(0)])
  const start = Buffer.compare(bytes, behind) < 0 ? behind : bytes
  if (bytes.length === 0) return { start }
  // The last byte of UTF-8 is never 0xff, so that raising it is enough.
  const end = Buffer.from(bytes)
  end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1)
  return { start, end }
}
