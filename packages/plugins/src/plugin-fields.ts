import { PluginReplyError } from './errors.ts'

/** An object of JSON. */
export type Fields = Readonly<Record<string, unknown>>

/** Whether a value of JSON is an object. */
export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A field, by its name in whatever case, as Go reads JSON; `undefined` where it is absent or null. */
export function fieldOf(fields: Fields, name: string): unknown {
  const exact = Object.hasOwn(fields, name) ? name : undefined
  const key = exact ?? Object.keys(fields).find((other) => other.toLowerCase() === name.toLowerCase())
  return key === undefined ? undefined : (fields[key] ?? undefined)
}

/** A field that is a text, empty where it is absent. Calls `refuse` for any other. */
export function textOf(fields: Fields, name: string, refuse: (why: string) => never): string {
  const value = fieldOf(fields, name) ?? ''
  return typeof value === 'string' ? value : refuse(`${name} is no text`)
}

/** A field that is true or false, false where it is absent. Calls `refuse` for any other. */
export function flagOf(fields: Fields, name: string, refuse: (why: string) => never): boolean {
  const value = fieldOf(fields, name) ?? false
  return typeof value === 'boolean' ? value : refuse(`${name} is neither true nor false`)
}

/** A field that is an object of texts, empty where it is absent. Calls `refuse` for any other. */
export function textsOf(
  fields: Fields,
  name: string,
  refuse: (why: string) => never,
): Readonly<Record<string, string>> {
  const value = fieldOf(fields, name) ?? {}
  if (!isObject(value)) return refuse(`${name} is no object`)
  for (const [key, text] of Object.entries(value)) if (typeof text !== 'string') refuse(`${name} has ${key}, no text`)
  return value as Record<string, string>
}

/** Refuses what is wrong with the answer to a call. */
export function refusalOf(method: string): (why: string) => never {
  return (why) => {
    throw new PluginReplyError(method, why)
  }
}
