import { existsSync } from 'node:fs'
import { Rollback, type CallOptions } from '@net/types'
import type { Core } from '../core.ts'
import { holdEndpoints } from '../endpoint-locks.ts'
import { endpointsOf, isAwaited, planOf } from '../gateways.ts'
import { putInPlace } from '../in-place.ts'
import { introduce, updateNaming, vanish } from '../names/naming-operations.ts'
import type { SandboxEntry } from '../state.ts'
import { checkSandbox } from '../usable.ts'

/** Listens for runtimes that bring the namespaces of sandboxes. Safe to call twice. */
export async function awaitKeys(core: Core): Promise<void> {
  await core.keys.open((containerId, path, call) =>
    core.run(() => setKey(core, core.state.getSandbox(containerId), path, call), call),
  )
}

/**
 * Has a sandbox be in the namespace at `path`, which a runtime made, with the interfaces of all its endpoints. It is
 * taken out of the one that it has. Where that fails the sandbox waits for another, and nothing is left in this one.
 */
export async function setKey(core: Core, sandbox: SandboxEntry, path: string, call?: CallOptions): Promise<void> {
  using _lock = await core.locks.lock(sandbox.record.id, call)
  checkSandbox(core, sandbox)
  await using _held = await holdEndpoints(core, endpointsOf(sandbox))
  if (!isAwaited(sandbox)) await beginToWait(core, sandbox)
  // What it had, and what an earlier try that failed left there.
  if (existsSync(sandbox.record.key)) await takeOut(core, sandbox)
  await putIn(core, sandbox, path, call)
  core.logger.debug(
    { sandboxId: sandbox.record.id, containerId: sandbox.record.containerId, path },
    'sandbox got its namespace',
  )
}

/** From here on the sandbox waits for a namespace, whatever becomes of the one that it has. */
async function beginToWait(core: Core, sandbox: SandboxEntry): Promise<void> {
  await awaitKeys(core)
  const before = sandbox.record
  sandbox.record = { ...before, namespace: 'awaited' }
  try {
    await core.records.keep({ sandboxes: [sandbox] })
  } catch (error) {
    sandbox.record = before
    throw error
  }
  for (const endpoint of endpointsOf(sandbox)) vanish(core, endpoint)
  await updateNaming(core, sandbox)
  await sandbox.naming.release()
}

/** Leaves the namespace that a sandbox has. Safe to do again. */
async function takeOut(core: Core, sandbox: SandboxEntry): Promise<void> {
  const { key } = sandbox.record
  for (const endpoint of endpointsOf(sandbox)) {
    const plan = planOf(core, endpoint, sandbox)
    await core.executor.leave(key, plan)
    await core.loopback?.remove(plan.firewall)
  }
  await core.executor.deleteSandbox(key, [])
}

/**
 * The record comes last here: should the process die before, the sandbox goes on waiting, and what was made of it in
 * the namespace is nobody's.
 */
async function putIn(core: Core, sandbox: SandboxEntry, path: string, call?: CallOptions): Promise<void> {
  const { key } = sandbox.record
  await using rollback = new Rollback()
  await core.executor.adoptSandbox(path, key, call)
  rollback.defer('take the namespace', () => core.executor.deleteSandbox(key, []))
  rollback.defer('answer names', () => sandbox.naming.release())
  await sandbox.naming.open()
  for (const endpoint of endpointsOf(sandbox)) {
    await putInPlace(core, key, planOf(core, endpoint, sandbox), { rollback, call })
    rollback.defer('make names known', () => {
      vanish(core, endpoint)
    })
    introduce(core, endpoint, sandbox)
  }
  rollback.defer('be where its endpoints are', async () => {
    sandbox.record = { ...sandbox.record, namespace: 'awaited' }
    await updateNaming(core, sandbox)
  })
  sandbox.record = { ...sandbox.record, namespace: 'given' }
  await updateNaming(core, sandbox)
  await core.records.keep({ sandboxes: [sandbox] }, call)
  rollback.commit()
}
