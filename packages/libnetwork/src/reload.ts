import { z } from 'zod'
import { checkDefaultDriver } from './config-networks.ts'
import type { Core } from './core.ts'
import { parser } from './requests.ts'

/** What can be chosen anew about a controller. Plain JSON. */
export interface ReloadOptions {
  /** May be a plugin: it is looked for when a network is made. */
  readonly defaultDriver?: string | undefined
  readonly defaultNetwork?: string | undefined
  /** Pools that networks get from now on when they name none. */
  readonly pools?: readonly { readonly base: string; readonly size: number }[] | undefined
  /** How names are answered in sandboxes that are made or refreshed from now on. */
  readonly dns?:
    | {
        readonly serverTimeoutMs?: number | undefined
        readonly timeoutMs?: number | undefined
        readonly cacheEntries?: number | undefined
        readonly logQuestions?: boolean | undefined
      }
    | undefined
}

const milliseconds = z.int('expected whole milliseconds').min(1, 'expected whole milliseconds')
const name = z.string().trim().min(1, 'expected a name')

const schema: z.ZodType<ReloadOptions> = z.strictObject({
  defaultDriver: name.optional(),
  defaultNetwork: name.optional(),
  pools: z.array(z.strictObject({ base: z.string(), size: z.number() })).optional(),
  dns: z
    .strictObject({
      serverTimeoutMs: milliseconds.optional(),
      timeoutMs: milliseconds.optional(),
      cacheEntries: z.int('expected a whole number').min(0, 'expected a whole number').optional(),
      logQuestions: z.boolean().optional(),
    })
    .optional(),
})

/** @throws InvalidRequestError (`ERR_INVALID_REQUEST`) */
export const parseReload = parser('configuration', schema)

/** Takes over what was chosen anew. What can be refused comes first. */
export function reload(core: Core, { defaultDriver, defaultNetwork, pools, dns = {} }: ReloadOptions): void {
  if (defaultDriver !== undefined) checkDefaultDriver('configuration', defaultDriver)
  if (pools !== undefined) core.changePools(pools)
  core.defaults = {
    ...core.defaults,
    ...(defaultDriver === undefined ? {} : { driver: defaultDriver }),
    ...(defaultNetwork === undefined ? {} : { network: defaultNetwork }),
  }
  core.naming.resolver = { ...core.naming.resolver, ...dns }
  core.logger.info({ defaultDriver, defaultNetwork, pools, dns }, 'configuration reloaded')
}
