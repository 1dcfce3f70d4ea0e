import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
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
  /** Answers by path: an object with status 200, or whatever the function does. */
  readonly answers: Record<string, object | string | ((response: ServerResponse) => void)>
}

/** Starts one that says what a plugin has to say when it is opened. */
export async function startFalsePlugin(socket: string): Promise<FalsePlugin> {
  const plugin: FalsePlugin = {
    asked: [],
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
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const path = request.url ?? ''
      plugin.asked.push({ path, accept: request.headers.accept, body })
      const answer = plugin.answers[path]
      if (typeof answer === 'function') answer(response)
      else if (answer === undefined) response.writeHead(404).end('page not found\n')
      else response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
    })
  }).listen(socket)
  await once(server, 'listening')
  return plugin
}
