import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'

/** A network plugin that is written by hand after the protocol, with nothing of ours, and that a test can spoil. */
export interface RawPlugin extends AsyncDisposable {
  /** Names of calls, in their order, without the handshake. */
  readonly told: string[]
  /** Answers a call in its place, once the plugin has done what was asked. */
  readonly spoilt: Record<string, ((response: ServerResponse) => void) | undefined>
  /** Resolves when that call comes in. */
  heard(call: string): Promise<void>
}

type Body = Readonly<Record<string, unknown>> & { readonly EndpointID?: string; readonly NetworkID?: string }

const ip = (...args: string[]): string => execFileSync('ip', args, { stdio: 'pipe', encoding: 'utf8' })

/** Listens at `path`. Each endpoint is a veth, made when it joins. */
export async function startRawPlugin(path: string): Promise<RawPlugin> {
  const told: string[] = []
  const spoilt: RawPlugin['spoilt'] = {}
  const waiting = new Map<string, () => void>()
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const call = (request.url ?? '').replace('/NetworkDriver.', '')
      if (call !== '/Plugin.Activate' && call !== 'GetCapabilities') told.push(call)
      const answer = answerOf(call, body === '' ? {} : (JSON.parse(body) as Body))
      waiting.get(call)?.()
      const spoil = spoilt[call]
      if (spoil !== undefined) spoil(response)
      else if (answer === undefined) response.writeHead(404).end('404 page not found\n')
      else response.end(answer)
    })
  }).listen(path)
  await once(server, 'listening')
  return {
    told,
    spoilt,
    heard: (call) => new Promise((resolve) => waiting.set(call, resolve)),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
}

/** Does what a call asks. */
function answerOf(call: string, { EndpointID = '' }: Body): string | undefined {
  const [near, far] = [`rn${EndpointID.slice(0, 10)}`, `rf${EndpointID.slice(0, 10)}`]
  switch (call) {
    case '/Plugin.Activate':
      return '{"Implements":["NetworkDriver"]}'
    case 'GetCapabilities':
      return '{"Scope":"local"}'
    case 'Join':
      ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far)
      return `{"InterfaceName":{"SrcName":"${far}","DstPrefix":"eth"},"Gateway":"10.40.0.1","DisableGatewayService":true}`
    case 'Leave':
      if (ip('link', 'show').includes(`${near}@`)) ip('link', 'delete', near)
      return 'null'
    case 'CreateEndpoint':
      return '{"Interface":{}}'
    case 'EndpointOperInfo':
      return '{"Value":{"a":1}}'
    case 'CreateNetwork':
    case 'DeleteNetwork':
    case 'DeleteEndpoint':
    case 'ProgramExternalConnectivity':
      return 'null'
    default:
      return undefined
  }
}
