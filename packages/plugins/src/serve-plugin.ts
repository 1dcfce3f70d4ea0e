import { silentLogger, type Logger } from '@net/types'
import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { InvalidPluginError, PluginSocketError } from './errors.ts'
import type { PluginKind } from './plugin-client.ts'
import { Desk, type PluginMethod } from './plugin-desk.ts'
import { wholeNumber } from './plugin-options.ts'

/** Where a plugin listens, and what it puts up with. */
export interface ServePluginOptions {
  /**
   * The socket's path, such as `/run/docker/plugins/NAME.sock`. One that a dead process left is replaced. Only the
   * user of this process can connect.
   */
  readonly path?: string | undefined
  /** Listens on TCP instead: whoever can connect may ask. */
  readonly port?: number | undefined
  /** @defaultValue 127.0.0.1 */
  readonly host?: string | undefined
  /** For one call. @defaultValue 30 000 */
  readonly timeoutMs?: number | undefined
  /** The longest request that is read. @defaultValue 1 MiB */
  readonly maxRequestBytes?: number | undefined
}

/** What is served. */
export interface ServedPlugin {
  readonly kind: PluginKind
  /** By their names, without the kind. */
  readonly methods: Readonly<Record<string, PluginMethod>>
  /** What an error is to those who asked. */
  readonly answerOf: (error: unknown) => object
  /** @defaultValue says nothing */
  readonly logger?: Logger | undefined
}

/** A plugin that listens. */
export interface RunningPlugin extends AsyncDisposable {
  /** As {@link PluginOptions.address}, and for the `.spec` file of a plugin that listens on TCP. */
  readonly address: string
  /** Gives up the calls under way, and removes the socket. Safe to call twice. */
  close(): Promise<void>
}

/** Listens as a plugin. @throws `ERR_PLUGIN_SOCKET`, `ERR_INVALID_PLUGIN` */
export async function servePlugin(
  { kind, methods, answerOf, logger = silentLogger }: ServedPlugin,
  options: ServePluginOptions,
): Promise<RunningPlugin> {
  const { path, port, host = '127.0.0.1' } = options
  if ((path === undefined) === (port === undefined)) {
    throw new InvalidPluginError('place to listen', { path, port }, 'either a path or a port')
  }
  const limits = {
    timeoutMs: wholeNumber('timeoutMs', options.timeoutMs ?? 30_000, 1),
    maxRequestBytes: wholeNumber('maxRequestBytes', options.maxRequestBytes ?? 2 ** 20, 1),
  }
  const byPath = new Map<string, PluginMethod>([
    ['/Plugin.Activate', () => Promise.resolve({ answer: { Implements: [kind] } })],
    ...Object.entries(methods).map(([name, method]) => [`/${kind}.${name}`, method] as const),
  ])
  const desk = new Desk(byPath, { ...limits, answerOf, logger })
  const server = createServer((request, response) => void desk.answer(request, response))
  const address = await (path === undefined ? listenOnPort(server, port ?? 0, host) : listenOnSocket(server, path))

  let closed: Promise<void> | undefined
  const close = (): Promise<void> => {
    closed ??= (async () => {
      const ended = once(server, 'close')
      server.close()
      await desk.close()
      server.closeAllConnections()
      await ended
    })()
    return closed
  }
  return { address, close, [Symbol.asyncDispose]: close }
}

async function listenOnPort(server: Server, port: number, host: string): Promise<string> {
  await listen(server, { port, host }, `${host}:${port}`)
  const { port: actual } = server.address() as AddressInfo
  return `tcp://${host.includes(':') ? `[${host}]` : host}:${actual}`
}

async function listenOnSocket(server: Server, path: string): Promise<string> {
  if (await isDeserted(path)) await rm(path)
  await listen(server, { path }, path)
  await chmod(path, 0o600)
  return `unix://${path}`
}

async function listen(
  server: Server,
  place: { path: string } | { port: number; host: string },
  where: string,
): Promise<void> {
  server.listen(place)
  try {
    await once(server, 'listening')
  } catch (error) {
    throw new PluginSocketError(where, error as NodeJS.ErrnoException)
  }
}

/** Whether there is a socket on which nobody listens any more. */
function isDeserted(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code === 'ECONNREFUSED')
    })
  })
}
