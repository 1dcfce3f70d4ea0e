import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A plugin that runs in a process of its own. */
export interface PluginProcess extends AsyncDisposable {
  /** What it was told, a line each: `join ID`. */
  told(): string[]
  /** As if its machine had lost its power. */
  kill(): Promise<void>
}

/** Starts the plugin `plug` with its socket in `folder`. */
export async function startBridgePlugin(folder: string): Promise<PluginProcess> {
  const log = join(folder, 'plug.log')
  const child = await startProgram('./bridge-plugin.mjs', [join(folder, 'plug.sock'), log])
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  }
  return {
    told: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
    kill: () => end('SIGKILL'),
    [Symbol.asyncDispose]: () => end('SIGTERM'),
  }
}

/** Starts a program beside this file, in this network namespace, and waits until it is ready. */
export async function startProgram(name: string, args: readonly string[]): Promise<ChildProcess> {
  const path = fileURLToPath(new URL(name, import.meta.url))
  const child = spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}
