import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A call that a plugin was asked. */
export interface AskedCall {
  readonly path: string
  readonly accept: string | undefined
  readonly body: string
}

/** A plugin that answers whatever it is told to. */
export interface FalsePlugin extends AsyncDisposable {
  readonly asked: AskedCall[]
  /** Where it listens, if that is a port. */
  port: number
  /** Answers by path: an object with status 200, or whatever the function does. */
  readonly answers: Record<string, object | string | ((response: ServerResponse) => void)>
}

/** Starts one that says what a plugin has to say when it is opened; with certificates, to those who show theirs. */
export async function startFalsePlugin(place: string | number, tls?: https.ServerOptions): Promise<FalsePlugin> {
  const plugin: FalsePlugin = {
    asked: [],
    port: 0,
    answers: {
      '/Plugin.Activate': { Implements: ['NetworkDriver', 'IpamDriver'] },
      '/IpamDriver.GetCapabilities': { RequiresMACAddress: true },
      '/IpamDriver.GetDefaultAddressSpaces': {
        LocalDefaultAddressSpace: 'white',
        GlobalDefaultAddressSpace: 'blue',
      },
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    void text(request).then((body) => {
      const path = request.url ?? ''
      plugin.asked.push({ path, accept: request.headers.accept, body })
      const said = plugin.answers[path]
      if (typeof said === 'function') said(response)
      else if (said === undefined) response.writeHead(404).end('page not found\n')
      else response.end(typeof said === 'string' ? said : JSON.stringify(said))
    })
  }
  const server = (tls === undefined ? createServer(answer) : https.createServer(tls, answer)).listen(place)
  await once(server, 'listening')
  if (typeof place === 'number') plugin.port = (server.address() as AddressInfo).port
  return plugin
}
