import type { JoinPlan } from '@net/driverapi'
import { gatewaysBy, type ServedRoute } from './sandbox-routes.ts'

type Gateways = JoinPlan['sandbox']['gateways']

/** The default routes of a sandbox. */
interface ServedFamilies {
  readonly ipv4?: ServedRoute | undefined
  readonly ipv6?: ServedRoute | undefined
}

/** Which interfaces serve the default routes of sandboxes, by what plans say. */
export class ServedRoutes {
  readonly #byKey = new Map<string, ServedFamilies>()

  /** The default routes of the sandbox at `key` that lead by an interface of it. */
  by(key: string, name: string): Gateways {
    const { ipv4, ipv6 } = this.#byKey.get(key) ?? {}
    return { ipv4: ipv4?.by === name ? ipv4.hop : undefined, ipv6: ipv6?.by === name ? ipv6.hop : undefined }
  }

  /** The IPv4 default route of the sandbox at `key` in whose place that of a plan comes. */
  replacedBy(key: string, plan: JoinPlan['sandbox']): ServedRoute | undefined {
    const before = this.#byKey.get(key)?.ipv4
    if (before === undefined || plan.gateways.ipv4 === undefined) return undefined
    return namesOf(plan).includes(before.by) ? undefined : before
  }

  /** The default routes of a plan take the place of those that there were. */
  add(key: string, plan: JoinPlan['sandbox']): void {
    for (const by of namesOf(plan)) {
      const { ipv4, ipv6 } = gatewaysBy(by, plan)
      if (ipv4 === undefined && ipv6 === undefined) continue
      const before = this.#byKey.get(key)
      this.#byKey.set(key, {
        ipv4: ipv4 === undefined ? before?.ipv4 : { hop: ipv4, by },
        ipv6: ipv6 === undefined ? before?.ipv6 : { hop: ipv6, by },
      })
    }
  }

  /** The interfaces of a plan serve nothing any more. */
  remove(key: string, plan: JoinPlan['sandbox']): void {
    const { ipv4, ipv6 } = this.#byKey.get(key) ?? {}
    const names = namesOf(plan)
    const unlessGone = (route: ServedRoute | undefined): ServedRoute | undefined =>
      route === undefined || names.includes(route.by) ? undefined : route
    const left = { ipv4: unlessGone(ipv4), ipv6: unlessGone(ipv6) }
    if (left.ipv4 === undefined && left.ipv6 === undefined) this.#byKey.delete(key)
    else this.#byKey.set(key, left)
  }

  /** The sandbox at `key` is gone. */
  removeSandbox(key: string): void {
    this.#byKey.delete(key)
  }
}

function namesOf({ links, existing = [] }: JoinPlan['sandbox']): string[] {
  return [...links, ...existing].map(({ name }) => name)
}
