import type { Published } from './acts.ts'
import type { Interruptions } from './interruptions.ts'

/** How another shell gets into the host that the demo runs in. */
export type Access =
  | { readonly kind: 'machine' }
  /** A host to throw away, made by root or, in a user namespace, by an ordinary user. */
  | { readonly kind: 'throw-away'; readonly pid: number; readonly userNamespace: boolean }

/** Commands that work as they stand in another shell of the same user. */
export function describeAccess(access: Access, key: string, published: Published): string[] {
  const enter = enterCommand(access)
  return [
    'Everything stands. To look inside, from another shell of the same user:',
    `  ${enter}nsenter --net=${key} ip addr`,
    `  ${enter}curl http://198.51.100.1:${published.web}/`,
  ]
}

/** Resolves at the press of a key, where standard input is a terminal, or with the next signal. */
export async function waitForEnd(interruptions: Interruptions): Promise<void> {
  const signal = interruptions.next()
  if (!process.stdin.isTTY) return signal.arrived

  const { stdin } = process
  // A key that ends the waiting needs no Enter after it. Ctrl-C is a key as well.
  stdin.setRawMode(true)
  stdin.resume()
  try {
    await Promise.race([signal.arrived, new Promise((resolve) => stdin.once('data', resolve))])
  } finally {
    signal.cancel()
    stdin.setRawMode(false)
    stdin.pause()
  }
}

/** What ends the waiting, in words. */
export function describeEnd(isTerminal: boolean, pid: number): string {
  return isTerminal ? 'Press any key to tear down.' : `Tear down with: kill ${pid}`
}

function enterCommand(access: Access): string {
  if (access.kind === 'machine') return ''
  const { pid, userNamespace } = access
  // The files that hold namespaces open are mounts of the demo's own: others see empty files.
  return `nsenter --target ${pid} ${userNamespace ? '--user --preserve-credentials ' : ''}--mount --net `
}
