import { mkdirSync, rmdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bridgeDriver } from '@net/drivers-bridge'
import { DriverRegistry, type NetworkDriver } from '@net/driverapi'
import { openFirewall } from '@net/firewall'
import { defaultIpam, nullIpam } from '@net/ipam'
import type { IpamDriver } from '@net/ipamapi'
import { holdName, isNameHeld, type HeldName } from '@net/netlink-ffi'
import { Executor } from '@net/osl'
import { openPortAllocator, type PortAllocatorOptions } from '@net/portallocator'
import { NotImplementedError, randomId, Rollback, shortId, silentLogger, Turns, type Logger } from '@net/types'
import { Controller } from './controller.ts'
import { ControllerRunningError } from './errors.ts'

/** What can be chosen about a controller. */
export interface ControllerOptions {
  /** One process at a time opens a controller of this name on a host. @defaultValue its random id */
  readonly name?: string | undefined
  /** Folder below which namespaces are mounted. @defaultValue `/run/net` */
  readonly runtimeDirectory?: string | undefined
  /** Network drivers beside the built-in ones (`bridge`). */
  readonly drivers?: readonly NetworkDriver[] | undefined
  /** Address managers beside the built-in ones (`default`, `null`). */
  readonly ipam?: readonly IpamDriver[] | undefined
  /** Pools that networks get when they name none: CIDR `base`, cut into subnets of prefix length `size`. */
  readonly pools?: readonly { readonly base: string; readonly size: number }[] | undefined
  readonly ports?: PortAllocatorOptions | undefined
  /** What `close` does with sandboxes and networks. @defaultValue 'delete' */
  readonly onClose?: 'delete' | 'keep' | undefined
  /** Not there yet: records are held in memory. */
  readonly stateDirectory?: string | undefined
  /** Not there yet: records are held in memory. */
  readonly stores?: object | undefined
  readonly logger?: Logger | undefined
}

/**
 * Opens a controller with the full stack, on the network namespace of the calling thread: its host.
 *
 * @throws `ERR_NOT_PERMITTED`, `ERR_CONTROLLER_RUNNING` (with the other process' id), `ERR_FIREWALL_UNSUPPORTED`,
 *   `ERR_NOT_IMPLEMENTED`
 */
export async function openController(options: ControllerOptions = {}): Promise<Controller> {
  refuseWhatIsNotThereYet(options)
  const id = randomId()
  const logger = options.logger ?? silentLogger
  const turns = new Turns()
  await using rollback = new Rollback()

  const name = holdControllerName(options.name ?? id)
  rollback.defer('hold name', () => {
    name.close()
  })
  const firewall = await openFirewall({ table: `net_${shortId(id)}`, owner: id }, { logger })
  rollback.defer('open firewall', () => firewall.close())
  const ports = openPortAllocator(options.ports, { turns })
  rollback.defer('open port allocator', () => {
    ports.close()
  })
  const executor = Executor.open({ owner: `net:${id}` }, { firewall, turns, logger })
  rollback.defer('open executor', () => executor.close())
  const folder = join(options.runtimeDirectory ?? '/run/net', id)
  mkdirSync(folder, { recursive: true, mode: 0o755 })

  const controller = new Controller(
    id,
    { drivers: driversOf(options), ipam: ipamOf(options, logger), executor, ports, folder, logger, turns },
    async () => {
      await executor.close()
      ports.close()
      await firewall.close()
      removeEmpty(folder)
      name.close()
    },
  )
  rollback.commit()
  logger.info({ controllerId: id }, 'controller opened')
  return controller
}

function refuseWhatIsNotThereYet(options: ControllerOptions): void {
  if (options.stateDirectory !== undefined) throw new NotImplementedError('the option stateDirectory')
  if (options.stores !== undefined) throw new NotImplementedError('the option stores')
  if (options.onClose === 'keep') throw new NotImplementedError("the option onClose: 'keep' without a store")
}

function driversOf(options: ControllerOptions): DriverRegistry {
  const drivers = new DriverRegistry()
  for (const driver of [bridgeDriver(), ...(options.drivers ?? [])]) drivers.add(driver)
  return drivers
}

function ipamOf(options: ControllerOptions, logger: Logger): Map<string, IpamDriver> {
  const builtIn = [defaultIpam({ pools: options.pools }, { logger }), nullIpam()]
  return new Map([...builtIn, ...(options.ipam ?? [])].map((ipam) => [ipam.name, ipam]))
}

function holdControllerName(name: string): HeldName {
  try {
    return holdName(`net/${name}`)
  } catch (cause) {
    throw isNameHeld(cause) ? new ControllerRunningError(name, cause.pid, cause) : cause
  }
}

/** Removes the controller's folder, and the one it lies in when no other controller has one there. */
function removeEmpty(folder: string): void {
  for (const path of [folder, dirname(folder)]) {
    try {
      rmdirSync(path)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOTEMPTY' && code !== 'ENOENT' && code !== 'EBUSY') throw error
      return
    }
  }
}
