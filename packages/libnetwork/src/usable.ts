import type { Phase } from '@net/driverapi'
import type { Core } from './core.ts'
import { BusyError } from './errors.ts'
import type { EndpointEntry, SandboxEntry } from './state.ts'

/**
 * Refuses an endpoint that is gone, or half deleted, and one of such a sandbox: what it has may be others' already.
 * Deleting it again goes on where that stopped.
 *
 * @throws NoSuchEndpointError (`ERR_NO_SUCH_ENDPOINT`), BusyError (`ERR_BUSY`)
 */
export function checkEndpoint(core: Core, { record }: EndpointEntry): void {
  core.state.getEndpoint(record.id)
  if (record.phase === 'deleting') throw new BusyError(`endpoint ${record.name}`, 'being deleted')
  if (record.sandboxId !== undefined) checkSandbox(core, core.state.getSandbox(record.sandboxId))
}

/** As {@link checkEndpoint}. @throws NoSuchSandboxError (`ERR_NO_SUCH_SANDBOX`), BusyError (`ERR_BUSY`) */
export function checkSandbox(core: Core, { record }: SandboxEntry): void {
  core.state.getSandbox(record.id)
  if (record.phase === 'deleting') throw new BusyError(`sandbox ${record.containerId}`, 'being deleted')
}

/** Refuses what is not there yet, or half deleted. @throws BusyError (`ERR_BUSY`) */
export function checkReady(what: string, { record: { phase } }: { readonly record: { readonly phase: Phase } }): void {
  if (phase !== 'ready') throw new BusyError(what, phase === 'creating' ? 'being created' : 'being deleted')
}
