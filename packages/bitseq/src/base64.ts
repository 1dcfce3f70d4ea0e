import { DamagedBitseqError } from './errors.ts'

declare function btoa(binary: string): string
declare function atob(text: string): string

/** Characters made at once: more arguments than this, and engines run out of stack. */
const PIECE = 0x2000

/** Standard base64 with padding. RFC 4648, section 4. */
export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let at = 0; at < bytes.length; at += PIECE) {
    binary += String.fromCharCode(...bytes.subarray(at, at + PIECE))
  }
  return btoa(binary)
}

/** @throws DamagedBitseqError (`ERR_DAMAGED_BITSEQ`) */
export function fromBase64(text: string): Uint8Array {
  let binary: string
  try {
    binary = atob(text)
  } catch {
    throw new DamagedBitseqError('no base64')
  }
  return Uint8Array.from(binary, (character) => character.charCodeAt(0))
}
