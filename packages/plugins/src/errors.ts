import { NetError } from '@net/types'

/** No plugin of this name was found, neither its socket nor a file that says where it listens. */
export class PluginNotFoundError extends NetError<'ERR_PLUGIN_NOT_FOUND'> {
  constructor(name: string, folders: readonly string[]) {
    super(`no such plugin: ${name}, looked for in ${folders.join(', ')}`, {
      code: 'ERR_PLUGIN_NOT_FOUND',
      kind: 'not-found',
    })
  }
}

/** A plugin's name, its address or the file that gives it is none, or an option of how to talk to it. */
export class InvalidPluginError extends NetError<'ERR_INVALID_PLUGIN'> {
  constructor(what: string, value: unknown, expected: string, cause?: unknown) {
    super(`invalid ${what} ${JSON.stringify(value)}: expected ${expected}`, {
      code: 'ERR_INVALID_PLUGIN',
      kind: 'bad-request',
      cause,
    })
  }
}

/** A plugin could not be reached, or did not answer in time. */
export class PluginUnavailableError extends NetError<'ERR_PLUGIN_UNAVAILABLE'> {
  /** `unknown`: it was asked, and whether it did what was asked is not known. */
  readonly outcome: 'none' | 'unknown'

  constructor(name: string, why: string, outcome: 'none' | 'unknown', cause?: unknown) {
    super(`plugin ${name} cannot be reached: ${why}`, { code: 'ERR_PLUGIN_UNAVAILABLE', kind: 'retry', cause })
    this.outcome = outcome
  }
}

/** A plugin answered something that makes no sense. */
export class PluginReplyError extends NetError<'ERR_PLUGIN_REPLY'> {
  constructor(what: string, why: string, cause?: unknown) {
    super(`no sense in the answer to ${what}: ${why}`, { code: 'ERR_PLUGIN_REPLY', kind: 'no-service', cause })
  }
}

/** A plugin said no, in words of its own. */
export class PluginRefusedError extends NetError<'ERR_PLUGIN_REFUSED'> {
  /** Of the answer: 404 where the plugin has no such call. */
  readonly status: number

  constructor(message: string, status = 200) {
    super(`remote: ${message}`, { code: 'ERR_PLUGIN_REFUSED', kind: 'forbidden' })
    this.status = status
  }
}

/** The place where a plugin is to listen is taken, or cannot be had. */
export class PluginSocketError extends NetError<'ERR_PLUGIN_SOCKET'> {
  constructor(where: string, cause: NodeJS.ErrnoException) {
    super(`cannot listen at ${where}: ${cause.syscall ?? 'listen'}: ${cause.code ?? cause.message}`, {
      code: 'ERR_PLUGIN_SOCKET',
      kind: 'forbidden',
      cause,
    })
  }
}
