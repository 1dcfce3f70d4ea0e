declare const crypto: { getRandomValues(bytes: Uint8Array): Uint8Array }

/** A fresh random id: 64 hexadecimal digits, as libnetwork's. */
export function randomId(): string {
  let id = ''
  for (const byte of crypto.getRandomValues(new Uint8Array(32))) id += byte.toString(16).padStart(2, '0')
  return id
}

/** The short form of an id that people and interface names use: its first twelve characters. */
export function shortId(id: string): string {
  return id.slice(0, 12)
}

/** `length` random bytes. */
export function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length))
}
