import { StoreVersionError } from './errors.ts'

/** What checks a record: a schema of zod, or any other object with such a member. */
export interface Schema<T> {
  /** Returns the record, or throws when `value` is none. */
  parse(value: unknown): T
}

/** The form that records are written in, and the way to it from older forms. */
export interface RecordForm<T> {
  readonly schema: Schema<T>
  /** Version of the form, counted from 1. */
  readonly version: number
  /** By version: what makes a record of that version one of the next. @defaultValue none */
  readonly migrations?: Readonly<Record<number, (value: unknown) => unknown>> | undefined
}

/** What is stored. */
interface Envelope {
  readonly version: number
  readonly value: unknown
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Bytes of a record. Throws what the schema throws, or JSON, when the record could not be read again. */
export function encodeRecord<T>(value: T, { schema, version }: RecordForm<T>): Uint8Array {
  const text = JSON.stringify({ version, value } satisfies Envelope)
  schema.parse((JSON.parse(text) as Envelope).value)
  return new TextEncoder().encode(text)
}

/** The record in these bytes. Throws `ERR_STORE_VERSION` when it is newer than the form, or what the schema throws. */
export function decodeRecord<T>(key: string, bytes: Uint8Array, form: RecordForm<T>): T {
  const envelope = envelopeOf(JSON.parse(utf8.decode(bytes)))
  if (envelope.version > form.version) throw new StoreVersionError(key, envelope.version, form.version)
  let { value } = envelope
  for (let version = envelope.version; version < form.version; version++) {
    const migrate = form.migrations?.[version]
    if (migrate === undefined) throw new TypeError(`there is no migration from version ${version}`)
    value = migrate(value)
  }
  return form.schema.parse(value)
}

function envelopeOf(parsed: unknown): Envelope {
  const isEnvelope = typeof parsed === 'object' && parsed !== null && 'version' in parsed && 'value' in parsed
  if (!isEnvelope || typeof parsed.version !== 'number' || !Number.isSafeInteger(parsed.version))
    throw new TypeError('expected an object with a version and a value')
  return { version: parsed.version, value: parsed.value }
}
