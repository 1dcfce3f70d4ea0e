import { InvalidPluginError } from './errors.ts'
import { parsePluginAddress, type PluginAddress } from './plugin-address.ts'
import type { PluginFolders } from './plugin-files.ts'

/** Which plugin to use, and how. */
export interface PluginOptions {
  /** Letters, digits, dots, dashes and underscores. */
  readonly name: string
  /** `unix:///PATH`, `tcp://HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`. @defaultValue it is looked for by its name */
  readonly address?: string | undefined
  /** Where a socket `NAME.sock` or `NAME/NAME.sock` is looked for. @defaultValue /run/docker/plugins */
  readonly socketFolders?: readonly string[] | undefined
  /**
   * Where files `NAME.spec` and `NAME.json` with its address are looked for.
   *
   * @defaultValue /etc/docker/plugins, /usr/lib/docker/plugins
   */
  readonly specFolders?: readonly string[] | undefined
  /** For the answer to one call. @defaultValue 30 000 */
  readonly timeoutMs?: number | undefined
  /** How long a plugin that is not there, or takes no connection, is tried again. @defaultValue 30 000 */
  readonly retryMs?: number | undefined
  /** The longest answer that is read. @defaultValue 1 MiB */
  readonly maxReplyBytes?: number | undefined
}

/** The options with nothing left open. */
export interface ResolvedPluginOptions {
  readonly name: string
  /** Absent: it is looked for in the folders. */
  readonly address: PluginAddress | undefined
  readonly folders: PluginFolders
  /** For the answer to a call. */
  readonly timeoutMs: number
  /** How long a plugin that is not there, or that takes no connection, is tried again. */
  readonly retryMs: number
  readonly maxReplyBytes: number
}

/** Checks options, and leaves nothing open. @throws InvalidPluginError (`ERR_INVALID_PLUGIN`) */
export function resolvePluginOptions(options: PluginOptions): ResolvedPluginOptions {
  const { name, address, socketFolders, specFolders } = options
  // A name is a part of paths.
  if (typeof name !== 'string' || !/^(?!\.+$)[\w.-]{1,100}$/.test(name)) {
    throw new InvalidPluginError('plugin name', name, 'letters, digits, dots, dashes and underscores')
  }
  return {
    name,
    address: address === undefined ? undefined : parsePluginAddress(address),
    folders: {
      sockets: socketFolders ?? ['/run/docker/plugins'],
      specs: specFolders ?? ['/etc/docker/plugins', '/usr/lib/docker/plugins'],
    },
    timeoutMs: wholeNumber('timeoutMs', options.timeoutMs ?? 30_000, 1),
    retryMs: wholeNumber('retryMs', options.retryMs ?? 30_000, 0),
    maxReplyBytes: wholeNumber('maxReplyBytes', options.maxReplyBytes ?? 2 ** 20, 1),
  }
}

/** A limit, which a timer can count to. @throws InvalidPluginError (`ERR_INVALID_PLUGIN`) */
export function wholeNumber(option: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least && value < 2 ** 31) return value
  throw new InvalidPluginError(option, value, `a whole number from ${least} to ${2 ** 31 - 1}`)
}
