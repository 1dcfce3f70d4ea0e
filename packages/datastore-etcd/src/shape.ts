import { decodeBase64 } from './base64.ts'
import { EtcdReplyError } from './errors.ts'

/** An object of JSON whose members nobody has looked at yet. */
export type Shape = Readonly<Record<string, unknown>>

/** Refuses what is no object. @throws `ERR_ETCD_REPLY` */
export function shapeOf(value: unknown, what: string): Shape {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new EtcdReplyError(`${what} is no object`)
  return value as Shape
}

/** A member that is an object; an empty one where it is absent, as everywhere in protobuf's JSON. */
export function shapeAt(shape: Shape, name: string): Shape {
  return shape[name] === undefined ? {} : shapeOf(shape[name], name)
}

/** A member that is a list; empty where it is absent. */
export function listAt(shape: Shape, name: string): readonly unknown[] {
  const value = shape[name]
  if (value === undefined) return []
  if (!Array.isArray(value)) throw new EtcdReplyError(`${name} is no list`)
  return value
}

/** A member that is a text; empty where it is absent. */
export function textAt(shape: Shape, name: string): string {
  const value = shape[name]
  if (value === undefined) return ''
  if (typeof value !== 'string') throw new EtcdReplyError(`${name} is no text`)
  return value
}

/** A member that says yes or no; no where it is absent. */
export function flagAt(shape: Shape, name: string): boolean {
  const value = shape[name]
  if (value === undefined) return false
  if (typeof value !== 'boolean') throw new EtcdReplyError(`${name} is neither true nor false`)
  return value
}

/** A member that is a count; 0 where it is absent. An int64 is a text in protobuf's JSON. */
export function countAt(shape: Shape, name: string): number {
  const text = textAt(shape, name)
  if (text === '') return 0
  if (!/^(0|[1-9]\d{0,15})$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw new EtcdReplyError(`${name} is no whole number from 0 to 2^53 - 1`)
  return Number(text)
}

/** A member that is bytes in base64; none where it is absent. */
export function bytesAt(shape: Shape, name: string): Uint8Array {
  const bytes = decodeBase64(textAt(shape, name))
  if (bytes === undefined) throw new EtcdReplyError(`${name} is no base64`)
  return bytes
}
