import type { Network } from '@net/libnetwork'
import { withoutPrefixLength } from '@net/types'
import { addressesOfEndpoint, type Cast, type Clients, type Container } from './cast.ts'
import { portsStillTaken } from './leftovers.ts'
import { answers, answersByName, isNotAnswered, isNotFound, isRefused, type Addresses } from './questions.ts'
import type { Stage } from './stage.ts'

/** Host ports that lead to container1. */
export interface Published {
  readonly web: number
  readonly echo: number
}

/** Ports that the server program listens on. */
const WEB_PORT = 80
const ECHO_PORT = 7
const publications = [
  { protocol: 'tcp', containerPort: WEB_PORT },
  { protocol: 'udp', containerPort: ECHO_PORT },
] as const

/** Containers of one network reach each other; they reach the outside, in the host's name. */
export async function showReach(stage: Stage, cast: Cast, clients: Clients): Promise<void> {
  const { container1, container2, outside } = cast
  const own = addressesOfEndpoint(container2.endpoint)
  const at = addressesOfEndpoint(container1.endpoint)
  stage.recorder.heading('Reach')
  await stage.recorder.check(
    ...answers(
      { name: 'container2 fetches from container1', client: clients.container2, scheme: 'http', at },
      (family) => `hello from container1 to ${own[family]}`,
    ),
    ...answers(
      { name: 'container2 fetches from outside', client: clients.container2, scheme: 'http', at: outside.client },
      (family) => `hello from outside to ${outside.host[family]}`,
    ),
  )
}

/** Containers of one network find each other by name; those of others do not. */
export async function showNames(stage: Stage, cast: Cast, clients: Clients): Promise<void> {
  const { container1, container2 } = cast
  const greetings = (from: Container, to: Container): string[] => {
    const { ipv4, ipv6 } = addressesOfEndpoint(to.endpoint)
    return [ipv4, ipv6].map((address) => `hello from ${from.name} to ${address}`)
  }
  stage.recorder.heading('Names')
  await stage.recorder.check(
    answersByName(
      { name: 'container1 fetches from container2 by name', client: clients.container1, host: 'container2' },
      greetings(container2, container1),
    ),
    answersByName(
      {
        name: 'container2 fetches from container1 by its host name, network said',
        client: clients.container2,
        host: `${container1.sandbox.hostname}.${container1.network.name}`,
      },
      greetings(container1, container2),
    ),
    isNotFound({
      name: 'container3, on another network, does not find container2 by name',
      client: clients.container3,
      host: 'container2',
    }),
  )
}

/** A web and an echo port of container1 become ports of the host. */
export async function publishPorts(stage: Stage, cast: Cast): Promise<Published> {
  const { endpoint } = cast.container1
  return stage.recorder.step(
    'publish TCP port 80 and UDP port 7 of container1',
    async () => {
      const ports = await endpoint.publish(publications, stage.call)
      stage.published.push(...ports.map(({ protocol, hostPort }) => ({ protocol, port: hostPort })))
      const portOf = (protocol: string): number => ports.find((port) => port.protocol === protocol)?.hostPort ?? 0
      return { web: portOf('tcp'), echo: portOf('udp') }
    },
    ({ web, echo }) => `TCP port ${web}  UDP port ${echo}`,
  )
}

/** What is published is reached at the host's addresses, from everywhere. */
export async function showPublished(stage: Stage, cast: Cast, clients: Clients, ports: Published): Promise<void> {
  const { container1, outside } = cast
  const at = outside.host
  const { network } = container1
  const inside = gatewaysOf(network)
  stage.recorder.heading('Published ports')
  await stage.recorder.check(
    ...answers(
      { name: 'the host fetches from its own port', client: clients.host, scheme: 'http', at, port: ports.web },
      (family) => `hello from container1 to ${inside[family]}`,
    ),
    ...answers(
      { name: 'outside fetches from the host', client: clients.outside, scheme: 'http', at, port: ports.web },
      (family) => `hello from container1 to ${outside.client[family]}`,
    ),
    ...answers(
      { name: 'container3 fetches from the host', client: clients.container3, scheme: 'http', at, port: ports.web },
      (family) => `hello from container1 to ${inside[family]}`,
    ),
    ...answers(
      { name: 'outside hears the echo from the host', client: clients.outside, scheme: 'udp', at, port: ports.echo },
      (family) => `hello from container1 to ${outside.client[family]}`,
    ),
  )
}

/** What is not published is not reached. All of it at once: silence takes its time. */
export async function showIsolation(stage: Stage, cast: Cast, clients: Clients, ports: Published): Promise<void> {
  const at = addressesOfEndpoint(cast.container1.endpoint)
  const outsideAt = cast.outside.client
  stage.recorder.heading('Isolation')
  await stage.recorder.check(
    ...isNotAnswered({
      name: 'container3, on another network, does not reach container1',
      client: clients.container3,
      scheme: 'http',
      at,
    }),
    ...isNotAnswered({
      name: 'outside does not reach container1 by its own address',
      client: clients.outside,
      scheme: 'http',
      at,
    }),
    ...isNotAnswered({
      name: 'container4, on an internal network, does not reach outside',
      client: clients.container4,
      scheme: 'http',
      at: outsideAt,
    }),
    ...isNotAnswered({
      name: 'container4, on an internal network, does not reach a port of the host',
      client: clients.container4,
      scheme: 'http',
      at: cast.outside.host,
      port: ports.web,
    }),
  )
}

/** Ports that are taken back are nobody's. */
export async function takePortsBack(stage: Stage, cast: Cast, clients: Clients, ports: Published): Promise<void> {
  const { recorder } = stage
  const asking = { scheme: 'http', at: cast.outside.host, port: ports.web } as const
  recorder.heading('Ports taken back')
  await recorder.step('take both ports back', () => cast.container1.endpoint.unpublish(publications, stage.call))
  await recorder.check(
    ...isRefused({ name: 'the host is refused at its own port', client: clients.host, ...asking }),
    ...isRefused({ name: 'outside is refused at the host', client: clients.outside, ...asking }),
    {
      name: 'other programs can have the ports',
      look: () => {
        const taken = portsStillTaken(stage.published)
        return Promise.resolve({
          ok: taken.length === 0,
          detail: taken.length === 0 ? `bound ${ports.web} and ${ports.echo}` : taken.join('; '),
        })
      },
    },
  )
}

/** The host's own addresses in a network: what its packets come from. */
function gatewaysOf({ ipv4, ipv6 }: Network): Addresses {
  return { ipv4: withoutPrefixLength(ipv4?.gateway ?? ''), ipv6: withoutPrefixLength(ipv6?.gateway ?? '') }
}
