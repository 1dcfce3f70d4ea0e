import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { duplicate, socketPair } from '@net/netlink-ffi'
import type { ProcessStreams } from './sandbox-process.ts'

/** What a program has as one of its descriptors: a pipe to here, nothing, what this process has, or a descriptor. */
export type Stdio = 'pipe' | 'ignore' | 'inherit' | number

/** Both sides of what a program reads and writes. */
export interface OpenedStdio {
  readonly streams: ProcessStreams
  /** For the program. */
  readonly descriptors: readonly (number | 'ignore')[]
  /** Closes the program's side here, once the program has it. */
  handedOver(): void
}

/** Opens what a program is to read and write. @throws SystemCallError (`ERR_SYSTEM_CALL`): EBADF, EMFILE */
export function openStdio(wanted: readonly Stdio[]): OpenedStdio {
  const theirs: number[] = []
  const stdio: (Socket | null)[] = []
  const descriptors: (number | 'ignore')[] = []
  const handedOver = (): void => {
    for (const fd of theirs.splice(0)) closeSync(fd)
  }
  try {
    for (const [at, sort] of wanted.entries()) {
      if (sort === 'ignore') descriptors.push('ignore')
      else {
        const [fd, stream] = sort === 'pipe' ? openPipe(at) : [duplicate(sort === 'inherit' ? at : sort), null]
        theirs.push(fd)
        descriptors.push(fd)
        stdio[at] = stream
      }
      stdio[at] ??= null
    }
  } catch (error) {
    handedOver()
    for (const stream of stdio) stream?.destroy()
    throw error
  }
  const [stdin = null, stdout = null, stderr = null] = stdio
  return { streams: { stdin, stdout, stderr, stdio }, descriptors, handedOver }
}

/** Standard input is written to from here, both outputs are read, and all others go both ways. */
function openPipe(at: number): [number, Socket] {
  const [ours, theirs] = socketPair()
  return [theirs, new Socket({ fd: ours, readable: at !== 0, writable: at !== 1 && at !== 2 })]
}
