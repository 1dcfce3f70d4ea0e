import { closeSync, openSync } from 'node:fs'
import { NETWORK_LINK_GROUP, type ExistingLink, type JoinPlan } from '@net/driverapi'
import {
  addAddress,
  addRoute,
  isErrno,
  moveLink,
  replaceRoute,
  RouteSocket,
  setLink,
  type Link,
} from '@net/netlink-ffi'
import type { Logger } from '@net/types'
import { addMissing } from './add-missing.ts'
import { InterfaceExistsError, LinkInUseError, LinkNotFoundError } from './errors.ts'
import { explainRefusal } from './explain.ts'
import { inSandbox, inSandboxIfThere, openSandboxNamespace } from './sandbox-namespace.ts'
import { defaultRoutes, explainRoutes, restoreDefaultRoutes } from './sandbox-routes.ts'
import type { SandboxDeps, SandboxSettings } from './sandbox-settings.ts'

type Gateways = JoinPlan['sandbox']['gateways']

/** What was found of a link that is to be in a sandbox: there already, on the host and taken from there, or nowhere. */
export type FoundLink = 'there' | 'taken' | 'missing'

/** Links of the host that others made, and that sandboxes have as their interfaces. */
export class ExistingLinks {
  readonly #routes: RouteSocket
  readonly #owner: string
  readonly #settings: SandboxSettings
  readonly #logger: Logger

  /** `routes` is borrowed, and the host's. */
  constructor(routes: RouteSocket, owner: string, { settings, logger }: SandboxDeps) {
    this.#routes = routes
    this.#owner = owner
    this.#settings = settings
    this.#logger = logger
  }

  /**
   * Moves a link into the sandbox at `key` and gives it what it is to have, or leaves it on the host.
   *
   * @throws LinkNotFoundError (`ERR_LINK_NOT_FOUND`), LinkInUseError (`ERR_LINK_IN_USE`), InterfaceExistsError
   *   (`ERR_INTERFACE_EXISTS`), RouteExistsError (`ERR_ROUTE_EXISTS`), SandboxNotFoundError (`ERR_SANDBOX_NOT_FOUND`)
   */
  take(key: string, link: ExistingLink, gateways: Gateways): void {
    const found = this.#routes.findLink(link.hostName)
    if (found === undefined) throw new LinkNotFoundError(link.hostName, undefined)
    this.#refuseInUse(found)
    this.#moveIn(key, link, found)
    try {
      this.#configure(key, link, gateways)
    } catch (error) {
      this.giveBack(key, link)
      throw error
    }
  }

  /**
   * Moves a link back to the host, under the name it had there. One that is not in the sandbox is no error.
   *
   * @throws InterfaceExistsError (`ERR_INTERFACE_EXISTS`) where the host has another of that name
   */
  giveBack(key: string, link: ExistingLink): void {
    const hostFd = openSync('/proc/thread-self/ns/net', 'r')
    try {
      using inside = inSandboxIfThere(key, () => RouteSocket.open({ logger: this.#logger }))
      const found = inside?.findLink(link.name)
      if (inside === undefined || found === undefined) return
      // First: a link that cannot get its name on the host has been moved by then.
      if (this.#routes.findLink(link.hostName) !== undefined) throw new InterfaceExistsError(link.hostName, undefined)
      inside.apply(moveLink(found.index, { namespaceFd: hostFd, name: link.hostName }))
    } catch (cause) {
      throw explainRefusal(cause, { name: link.hostName, kind: 'existing' })
    } finally {
      closeSync(hostFd)
    }
  }

  /** Sees to it that a link is in its sandbox, with what it is to have. */
  restore(key: string, link: ExistingLink, gateways: Gateways): FoundLink {
    if (this.#completeInside(key, link, gateways)) return 'there'
    if (this.#routes.findLink(link.hostName) === undefined) return 'missing'
    this.take(key, link, gateways)
    return 'taken'
  }

  /** What belongs to a network is not anybody's to give away. */
  #refuseInUse({ name, alias, group }: Link): void {
    if (alias === this.#owner || group === NETWORK_LINK_GROUP) throw new LinkInUseError(name, "it is a network's")
  }

  #moveIn(key: string, { name, hostName }: ExistingLink, { index }: Link): void {
    refuseTaken(key, name)
    const namespaceFd = openSandboxNamespace(key)
    try {
      this.#routes.apply(moveLink(index, { namespaceFd, name }))
    } catch (cause) {
      if (isErrno(cause, 'EINVAL')) throw new LinkInUseError(hostName, 'the kernel keeps it in its namespace', cause)
      throw explainRefusal(cause, { name, kind: 'existing' })
    } finally {
      closeSync(namespaceFd)
    }
  }

  #configure(key: string, link: ExistingLink, gateways: Gateways): void {
    using inside = inSandbox(key, () => {
      this.#settings.write(link.sysctls)
      return RouteSocket.open({ logger: this.#logger })
    })
    const { index, macAddress } = inside.getLink(link.name)
    try {
      inside.apply(
        ...(link.macAddress === undefined || link.macAddress === macAddress
          ? []
          : [setLink(index, { macAddress: link.macAddress })]),
        setLink(index, { up: true }),
        ...link.addresses.map((address) => addAddress({ index, address })),
        ...link.routes.map(({ destination, gateway }) => addRoute({ destination, gateway, index })),
        ...defaultRoutes(index, gateways),
      )
    } catch (cause) {
      throw explainRoutes(cause, link)
    }
  }

  /** Gives a link that is in its sandbox what it lacks. */
  #completeInside(key: string, link: ExistingLink, gateways: Gateways): boolean {
    using inside = inSandboxIfThere(key, () => RouteSocket.open({ logger: this.#logger }))
    const found = inside?.findLink(link.name)
    if (inside === undefined || found === undefined) return false
    const { index } = found
    inside.apply(setLink(index, { up: true }))
    addMissing(
      inside,
      link.addresses.map((address) => addAddress({ index, address })),
    )
    inside.apply(...link.routes.map(({ destination, gateway }) => replaceRoute({ destination, gateway, index })))
    restoreDefaultRoutes(inside, index, gateways)
    return true
  }
}

/** First: a link that cannot get its name there has been moved by then. */
function refuseTaken(key: string, name: string): void {
  using inside = inSandbox(key, () => RouteSocket.open())
  if (inside.findLink(name) !== undefined) throw new InterfaceExistsError(name, undefined)
}
