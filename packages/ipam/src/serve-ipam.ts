import type { IpamDriver } from '@net/ipamapi'
import { silentLogger, type Logger } from '@net/types'
import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { InvalidPluginError, PluginSocketError } from './errors.ts'
import { methodsOf } from './ipam-methods.ts'
import { Desk } from './plugin-desk.ts'
import { wholeNumber } from './remote-options.ts'

/** Where a plugin listens, and what it puts up with. */
export interface ServeIpamOptions {
  /**
   * The socket's path, such as `/run/docker/plugins/NAME.sock`. One that a dead process left is replaced. Only the
   * user of this process can connect.
   */
  readonly path?: string | undefined
  /** Listens on TCP instead: whoever can connect may take addresses. */
  readonly port?: number | undefined
  /** @defaultValue 127.0.0.1 */
  readonly host?: string | undefined
  /** For one call. @defaultValue 30 000 */
  readonly timeoutMs?: number | undefined
  /** The longest request that is read. @defaultValue 1 MiB */
  readonly maxRequestBytes?: number | undefined
}

/** What a served address manager is given to work with. */
export interface ServeIpamDeps {
  readonly logger?: Logger | undefined
}

/** A plugin that listens. */
export interface IpamPlugin extends AsyncDisposable {
  /** For {@link RemoteIpamOptions.address}, and for the `.spec` file of a plugin that listens on TCP. */
  readonly address: string
  /** Gives up the calls under way, and removes the socket. The address manager itself is left as it is. */
  close(): Promise<void>
}

/**
 * Serves an address manager as a plugin, for Docker or for {@link remoteIpam}.
 *
 * @param driver - borrowed
 * @throws `ERR_PLUGIN_SOCKET`, `ERR_INVALID_PLUGIN`
 */
export async function serveIpam(
  driver: IpamDriver,
  options: ServeIpamOptions,
  { logger = silentLogger }: ServeIpamDeps = {},
): Promise<IpamPlugin> {
  const { path, port, host = '127.0.0.1' } = options
  if ((path === undefined) === (port === undefined)) {
    throw new InvalidPluginError('place to listen', { path, port }, 'either a path or a port')
  }
  const limits = {
    timeoutMs: wholeNumber('timeoutMs', options.timeoutMs ?? 30_000, 1),
    maxRequestBytes: wholeNumber('maxRequestBytes', options.maxRequestBytes ?? 2 ** 20, 1),
  }
  const desk = new Desk(methodsOf(driver), { ...limits, logger })
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
