import type { Core } from '../core.ts'
import { setKey } from './set-key.ts'

/** Listens for runtimes that bring the namespaces of sandboxes. Safe to call twice. */
export async function awaitKeys(core: Core): Promise<void> {
  await core.keys.open((containerId, path, call) =>
    core.run(() => setKey(core, core.state.getSandbox(containerId), path, call), call),
  )
}
