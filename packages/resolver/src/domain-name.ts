import { HEADER_BYTES } from './dns-codes.ts'
import { InvalidDomainNameError, MalformedDnsMessageError } from './errors.ts'

/** RFC 1035, 2.3.4: with the lengths of its labels and the root. */
const MAX_NAME_BYTES = 255
const MAX_LABEL_BYTES = 63
/** RFC 1035, 4.1.4: the two bits that make a length a pointer. */
const POINTER = 0xc0
/** As many as a name can have labels: else a long message of pointers to pointers would take long to read. */
const MAX_POINTERS = 127

/** A name read from a message, and where what follows it begins. */
export interface ReadName {
  /** Labels with dots between; what a label holds besides plain characters is written `\.` or `\ddd`. The root is empty. */
  readonly name: string
  readonly next: number
}

/**
 * Reads the name at `at`, compressed or not. A pointer must lead to before the part it ends, so that
 * none leads in a circle.
 *
 * @throws MalformedDnsMessageError (`ERR_MALFORMED_DNS_MESSAGE`)
 */
export function readName(bytes: Uint8Array, at: number): ReadName {
  const labels: string[] = []
  const next = walkName(bytes, at, (start, end) => labels.push(labelText(bytes, start, end)))
  return { name: labels.join('.'), next }
}

/** As {@link readName}, for who only wants to know where the name ends. */
export function skipName(bytes: Uint8Array, at: number): number {
  return walkName(bytes, at, () => undefined)
}

/** Visits the labels of a name; returns where what follows the name begins. */
function walkName(bytes: Uint8Array, at: number, visit: (start: number, end: number) => void): number {
  let next: number | undefined
  let partStart = at
  // What a pointer leads to is a name that was there before, and ends before.
  let end = bytes.length
  let position = at
  let length = 1
  let pointers = 0
  for (;;) {
    const size = bytes[position]
    if (size === undefined || position >= end) throw new MalformedDnsMessageError('name cut short', position)
    if (size === 0) return next ?? position + 1
    if ((size & POINTER) === POINTER) {
      const target = ((size & ~POINTER) << 8) | (bytes[position + 1] ?? 0)
      if (position + 1 >= end) throw new MalformedDnsMessageError('pointer cut short', position)
      if (target >= partStart || target < HEADER_BYTES) {
        throw new MalformedDnsMessageError(`pointer to byte ${target}`, position)
      }
      if (++pointers > MAX_POINTERS) throw new MalformedDnsMessageError('chain of pointers', at)
      next ??= position + 2
      end = partStart
      partStart = position = target
      continue
    }
    if (size > MAX_LABEL_BYTES) throw new MalformedDnsMessageError(`label of type ${size >> 6}`, position)
    length += size + 1
    if (length > MAX_NAME_BYTES) throw new MalformedDnsMessageError(`name of more than ${MAX_NAME_BYTES} bytes`, at)
    if (position + 1 + size > end) throw new MalformedDnsMessageError('label cut short', position)
    visit(position + 1, position + 1 + size)
    position += size + 1
  }
}

/** RFC 1035, 5.1: how bytes that are no plain characters are written. */
function labelText(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    const character = String.fromCharCode(byte)
    if (character === '.' || character === '\\') text += `\\${character}`
    else if (byte > 0x20 && byte < 0x7f) text += character
    else text += `\\${String(byte).padStart(3, '0')}`
  }
  return text
}

/**
 * The bytes of a name, uncompressed: what {@link readName} reads. A dot at its end changes nothing.
 *
 * @throws InvalidDomainNameError (`ERR_INVALID_DOMAIN_NAME`)
 */
export function encodeName(name: string): Uint8Array {
  const bytes: number[] = []
  for (const label of splitLabels(name)) {
    const content = labelBytes(name, label)
    if (content.length === 0) throw new InvalidDomainNameError(name, 'a label is empty')
    if (content.length > MAX_LABEL_BYTES) throw new InvalidDomainNameError(name, 'a label is longer than 63 bytes')
    bytes.push(content.length, ...content)
  }
  bytes.push(0)
  if (bytes.length > MAX_NAME_BYTES) throw new InvalidDomainNameError(name, 'it is longer than 255 bytes')
  return Uint8Array.from(bytes)
}

/** As names mostly are; the others are judged by their bytes. */
const PLAIN_NAME = /^[\w-]{1,63}(?:\.[\w-]{1,63})*$/
/** The first label's length and the root come to it. */
const MAX_PLAIN_CHARACTERS = MAX_NAME_BYTES - 2

/** Whether a text can be a name in DNS: no label longer than 63 bytes, 255 in all, no character beyond ASCII. */
export function isDomainName(text: string): boolean {
  if (text.length <= MAX_PLAIN_CHARACTERS && PLAIN_NAME.test(text)) return true
  try {
    return encodeName(text).length > 1
  } catch (error) {
    if (error instanceof InvalidDomainNameError) return false
    throw error
  }
}

/** The labels of a name, as they are written: `a\.b.c` has two. */
export function splitLabels(name: string): string[] {
  const bare = /(?<!\\)(?:\\\\)*\.$/.test(name) ? name.slice(0, -1) : name
  if (bare === '') return []
  return bare.split(/(?<=(?<!\\)(?:\\\\)*)\./)
}

/** What names are compared by: no dot at the end, and capitals, of ASCII alone, made small. */
export function foldName(name: string): string {
  const bare = name.endsWith('.') ? splitLabels(name).join('.') : name
  return bare.replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase())
}

function labelBytes(name: string, label: string): number[] {
  const bytes: number[] = []
  for (const [token, digits, escaped] of label.matchAll(/\\(\d{3})|\\(.)|[^]/g)) {
    const byte = digits === undefined ? (escaped ?? token).charCodeAt(0) : Number(digits)
    const isPlain = digits === undefined ? byte > 0x20 && byte < 0x7f : byte <= 255
    if (!isPlain || token === '\\')
      throw new InvalidDomainNameError(name, `${JSON.stringify(token)} is no character of it`)
    bytes.push(byte)
  }
  return bytes
}
