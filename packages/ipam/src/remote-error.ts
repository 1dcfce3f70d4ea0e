import { PluginRefusedError } from '@net/plugins'
import { isNetError, type ErrorKind } from '@net/types'
import { RemoteIpamError } from './errors.ts'

/**
 * What an address manager may refuse with. Between two ends of ours the code goes along, beside the words that the
 * protocol has for it; whatever else a plugin says has no code of these, so that nobody takes it for one.
 */
const kinds: Readonly<Record<string, ErrorKind>> = {
  ERR_POOL_OVERLAP: 'forbidden',
  ERR_NO_POOL_AVAILABLE: 'no-service',
  ERR_NO_SUCH_POOL: 'not-found',
  ERR_INVALID_POOL: 'bad-request',
  ERR_INVALID_SUB_POOL: 'bad-request',
  ERR_INVALID_ADDRESS_SPACE: 'bad-request',
  ERR_NO_ADDRESS_AVAILABLE: 'no-service',
  ERR_ADDRESS_IN_USE: 'forbidden',
  ERR_ADDRESS_OUT_OF_RANGE: 'bad-request',
  ERR_INVALID_ADDRESS: 'bad-request',
  ERR_INVALID_CIDR: 'bad-request',
}

/** The error that a plugin's words, and its code if it has one, stand for. */
export function remoteError(message: string, code: string): Error {
  const kind = Object.hasOwn(kinds, code) ? kinds[code] : undefined
  return kind === undefined ? new PluginRefusedError(message) : new RemoteIpamError(message, code, kind)
}

/** An error as an answer. */
export function answerOf(error: unknown): { readonly Error: string; readonly Code?: string } {
  const message = error instanceof Error && error.message !== '' ? error.message : String(error)
  return isNetError(error) && Object.hasOwn(kinds, error.code)
    ? { Error: message, Code: error.code }
    : { Error: message }
}
