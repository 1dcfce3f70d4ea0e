import { spawn } from 'node:child_process'
import type { Controller, Endpoint, Network, Sandbox } from '@net/libnetwork'
import { addRoute, inNamespaceAt, RouteSocket } from '@net/netlink-ffi'
import { withoutPrefixLength } from '@net/types'
import type { FirstContainer } from './first-container.ts'
import { createOutside, type Outside } from './outside.ts'
import type { Client } from './programs.ts'
import type { Stage } from './stage.ts'

/** A container on a network. */
export interface Container {
  readonly name: string
  readonly network: Network
  readonly endpoint: Endpoint
  readonly sandbox: Sandbox
}

/** Everybody who plays a part. container1, container2 and the outside machine serve; all ask. */
export interface Cast {
  /** On network1. */
  readonly container1: Container
  /** On network1. */
  readonly container2: Container
  /** On network2. */
  readonly container3: Container
  /** On network3, which is internal. */
  readonly container4: Container
  readonly outside: Outside
}

/** The programs that ask, by where they run. */
export interface Clients {
  readonly container1: Client
  readonly container2: Client
  readonly container3: Client
  readonly container4: Client
  readonly outside: Client
  readonly host: Client
}

/** Adds three containers, two networks and an outside machine to the first container. */
export async function gatherCast(stage: Stage, first: FirstContainer): Promise<Cast> {
  const { controller, network: network1 } = first
  const container2 = await attach(stage, controller, network1, 'container2')
  const network2 = await createNetwork(stage, controller, 'network2', false)
  const container3 = await attach(stage, controller, network2, 'container3')
  const network3 = await createNetwork(stage, controller, 'network3', true)
  const container4 = await attach(stage, controller, network3, 'container4')
  await stage.recorder.step('give container4 default routes, as its root could', () => {
    addDefaultRoutes(container4)
  })
  const outside = await stage.recorder.step(
    'put a machine outside of the host',
    async () => {
      const made = await createOutside(stage.place.folder)
      stage.defer('remove the outside machine', () => made.delete())
      return made
    },
    ({ client }) => `${client.ipv4}  ${client.ipv6}`,
  )
  return { container1: { name: 'container1', ...first }, container2, container3, container4, outside }
}

/** Starts the programs, all at once. */
export async function startPrograms(stage: Stage, cast: Cast): Promise<Clients> {
  const { programs } = stage
  const { outside } = cast
  stage.defer('end the programs', () => programs.end())
  const client = ({ name, sandbox }: Container): Promise<Client> =>
    programs.startClient((...args) => sandbox.spawn(...args), name)

  const server = ({ name, sandbox }: Container): Promise<void> =>
    programs.startServer((...args) => sandbox.spawn(...args), name)

  return stage.recorder.step(
    'start servers in container1, container2 and outside, and clients everywhere',
    async () => {
      const [container1, container2, container3, container4, outsideClient, host] = await Promise.all([
        client(cast.container1),
        client(cast.container2),
        client(cast.container3),
        client(cast.container4),
        programs.startClient(outside.spawn, 'outside'),
        programs.startClient(spawn, 'host'),
        server(cast.container1),
        server(cast.container2),
        programs.startServer(outside.spawn, 'outside'),
      ])
      return { container1, container2, container3, container4, outside: outsideClient, host }
    },
  )
}

function createNetwork(stage: Stage, controller: Controller, name: string, internal: boolean): Promise<Network> {
  return stage.recorder.step(
    `create ${name}${internal ? ', internal' : ''}`,
    () => controller.createNetwork({ name, internal, ipv6: true }, stage.call),
    ({ ipv4, ipv6 }) => `${ipv4?.pool ?? ''}  ${ipv6?.pool ?? ''}`,
  )
}

async function attach(stage: Stage, controller: Controller, network: Network, name: string): Promise<Container> {
  const { endpoint, sandbox } = await stage.recorder.step(
    `attach ${name} to ${network.name}`,
    () => controller.attach({ network, endpoint: { name }, sandbox: { containerId: name } }, stage.call),
    ({ endpoint: { address, address6 } }) => `${address ?? ''}  ${address6 ?? ''}`,
  )
  return { name, network, endpoint, sandbox }
}

/** An internal network has none; what keeps its containers in must not depend on that. */
function addDefaultRoutes({ network, sandbox }: Container): void {
  using routes = inNamespaceAt(sandbox.key, () => RouteSocket.open())
  const [gateway4, gateway6] = [bare(network.ipv4?.gateway), bare(network.ipv6?.gateway)]
  routes.apply(
    addRoute({ destination: '0.0.0.0/0', gateway: gateway4 }),
    addRoute({ destination: '::/0', gateway: gateway6 }),
  )
}

/** The addresses of an endpoint without their prefix lengths. */
export function addressesOfEndpoint({ address, address6 }: Endpoint): { readonly ipv4: string; readonly ipv6: string } {
  return { ipv4: bare(address), ipv6: bare(address6) }
}

function bare(cidr = ''): string {
  return withoutPrefixLength(cidr)
}
