import { execFileSync, spawnSync } from 'node:child_process'
import { stat } from 'node:fs/promises'
import { describe } from 'vitest'
import { enterNewNamespace } from '../namespace.ts'

/** A host can have thousands of links. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024

/** Why kernel tests cannot run here, or undefined when they can. */
function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux'
  if (process.getuid?.() !== 0) return 'needs root'
  const missing = ['ip', 'nft'].filter((tool) => !isInstalled(tool))
  if (missing.length > 0) return `needs ${missing.join(' and ')}`
  return undefined
}

function isInstalled(tool: string): boolean {
  return spawnSync(tool, ['-V'], { stdio: 'ignore' }).error === undefined
}

/**
 * A `describe` for tests on the real kernel: skipped, with the reason in its title, where that cannot be had.
 */
export function describeKernel(title: string, body: () => void): void {
  const reason = whyNot()
  if (reason === undefined) describe(title, body)
  else describe.skip(`${title} (skipped: ${reason})`, body)
}

/**
 * Moves this test file's process, and the programs it starts, into a fresh network namespace that
 * dies with it: a host of its own. Call it once, at the top of the file.
 */
export async function enterFreshHost(): Promise<void> {
  if (whyNot() !== undefined) return
  // The pool's threads are born by the first asynchronous file operation: let that be at home.
  await stat('/')
  enterNewNamespace()
  ip('link', 'set', 'lo', 'up')
}

/** What `ip -json` says: the second eye of kernel tests. */
export function ip(...args: readonly string[]): unknown {
  return parseJson(
    execFileSync('ip', ['-json', '-details', ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
      maxBuffer: MAX_OUTPUT_BYTES,
    }),
  )
}

/** As {@link ip}, inside the namespace at `path`. */
export function ipIn(path: string, ...args: readonly string[]): unknown {
  return parseJson(
    execFileSync('nsenter', [`--net=${path}`, 'ip', '-json', '-details', ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
      maxBuffer: MAX_OUTPUT_BYTES,
    }),
  )
}

/** What `nft -j list ruleset` says. */
export function nftRuleset(): unknown {
  return parseJson(
    execFileSync('nft', ['-j', 'list', 'ruleset'], { encoding: 'utf8', stdio: 'pipe', maxBuffer: MAX_OUTPUT_BYTES }),
  )
}

function parseJson(text: string): unknown {
  return text.trim() === '' ? [] : (JSON.parse(text) as unknown)
}
