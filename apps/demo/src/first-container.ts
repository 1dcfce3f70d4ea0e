import { join } from 'node:path'
import { openController, type Controller, type Endpoint, type Network, type Sandbox } from '@net/libnetwork'
import type { Stage } from './stage.ts'

/** What libnetwork's own example makes. */
export interface FirstContainer {
  readonly controller: Controller
  readonly network: Network
  readonly endpoint: Endpoint
  readonly sandbox: Sandbox
}

/** The program of libnetwork's README, step by step: a network, an endpoint, a sandbox, and the two joined. */
export async function joinFirstContainer(stage: Stage): Promise<FirstContainer> {
  const { recorder, call } = stage

  const controller = await recorder.step(
    'open the controller',
    () => open(stage),
    ({ id }) => id.slice(0, 12),
  )
  const network = await recorder.step(
    'create network1, of type bridge',
    () => controller.createNetwork({ name: 'network1', driver: 'bridge', ipv6: true }, call),
    ({ ipv4, ipv6 }) => `${ipv4?.pool ?? ''}  ${ipv6?.pool ?? ''}`,
  )
  const endpoint = await recorder.step(
    'create Endpoint1',
    () => network.createEndpoint({ name: 'Endpoint1' }, call),
    ({ address, address6 }) => `${address ?? ''}  ${address6 ?? ''}`,
  )
  const sandbox = await recorder.step(
    'create the sandbox of container1',
    () => controller.createSandbox({ containerId: 'container1', hostname: 'test', domainname: 'docker.io' }, call),
    ({ hostname, domainname }) => `${hostname}.${domainname ?? ''}`,
  )
  await recorder.step(
    'join Endpoint1 to it',
    () => endpoint.join(sandbox, {}, call),
    () => endpoint.interfaceName ?? '',
  )
  const info = await recorder.step('read what the driver knows of Endpoint1', () => endpoint.driverInfo())
  const macAddress = String(info['com.docker.network.endpoint.macaddress'])
  recorder.lines(`Joined endpoint ${endpoint.name} (${macAddress}) to sandbox ${sandbox.containerId} (${sandbox.key})`)
  return { controller, network, endpoint, sandbox }
}

async function open(stage: Stage): Promise<Controller> {
  const controller = await openController({ runtimeDirectory: stage.place.runtimeDirectory })
  stage.controllers.push(controller)
  stage.defer('close the controller: sandboxes, endpoints, networks, rules', () => controller.close())
  stage.call.signal.throwIfAborted()
  return controller
}

/** Folder that a controller keeps its namespaces in. */
export function folderOf(controller: Controller, runtimeDirectory: string): string {
  return join(runtimeDirectory, controller.id)
}
