import { isNetError } from '@net/types'
import type { Core } from './core.ts'

/** What a plugin that is not there, says no, or says something that makes no sense, fails with. */
const OF_PLUGINS = ['ERR_PLUGIN_NOT_FOUND', 'ERR_PLUGIN_UNAVAILABLE', 'ERR_PLUGIN_REFUSED', 'ERR_PLUGIN_REPLY']

/**
 * Has an address manager take something back. A plugin that does not holds nobody up: it goes on thinking it taken.
 *
 * @throws what a manager fails with that is part of this program, and is there to be asked again
 */
export async function giveBack(core: Core, fields: object, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!OF_PLUGINS.some((code) => isNetError(error, code))) throw error
    core.logger.warn({ ...fields, err: error }, 'address manager did not take back what is let go')
  }
}
