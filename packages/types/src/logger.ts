/** The slice of a logger that libraries use. A pino logger fits as it is: errors are in the field `err`. */
export interface Logger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  child(bindings: Record<string, unknown>): Logger
}

/** Says nothing. What libraries use when they are given no logger. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
}

/** An event as the fields of a line: what it calls `error` goes by the name under which pino writes errors out. */
export function logFields(event: object): object {
  const { error, ...fields } = event as { readonly error?: unknown }
  return error === undefined ? fields : { ...fields, err: error }
}
