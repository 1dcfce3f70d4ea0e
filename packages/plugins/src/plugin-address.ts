import { InvalidPluginError } from './errors.ts'

/** Certificates for talking to a plugin. */
export interface PluginTls {
  readonly rejectUnauthorized: boolean
  readonly ca?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly key?: Buffer | undefined
}

/** Where a plugin listens. */
export type PluginAddress =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number; readonly tls?: PluginTls | undefined }

const EXPECTED = 'unix:///PATH, tcp://HOST:PORT, http://HOST:PORT or https://HOST:PORT'

/** Reads the address of a plugin. @throws InvalidPluginError (`ERR_INVALID_PLUGIN`) */
export function parsePluginAddress(text: string, tls?: PluginTls): PluginAddress {
  if (text.startsWith('unix://')) {
    const socketPath = text.slice('unix://'.length)
    if (socketPath.startsWith('/')) return { socketPath }
    throw new InvalidPluginError('plugin address', text, EXPECTED)
  }
  const scheme = /^(tcp|http|https):\/\//.exec(text)?.[1]
  // As http it has the same parts: URL knows nothing of tcp.
  const url = scheme === undefined ? undefined : parseUrl(text.replace(/^\w+:/, 'http:'))
  if (url === undefined) throw new InvalidPluginError('plugin address', text, EXPECTED)
  const isSecure = scheme === 'https' || tls !== undefined
  const port = url.port === '' ? (isSecure ? 443 : 80) : Number(url.port)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return { host, port, tls: isSecure ? (tls ?? { rejectUnauthorized: true }) : undefined }
}

/** A URL that is no more than a place. */
function parseUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const isPlain = url.pathname === '/' && url.search === '' && url.hash === '' && url.username === ''
  return isPlain ? url : undefined
}
