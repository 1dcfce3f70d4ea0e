import { expect } from 'vitest'

/** What an error with this code is compared with. */
export function hasCode(code: string, rest: object = {}): Error {
  return expect.objectContaining({ code, ...rest }) as Error
}

/** Bytes of a text. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
