import { once } from 'node:events'
import { constants } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { createConnection, createServer } from 'node:net'
import { join } from 'node:path'

/** The longest address of a socket: sun_path of linux/un.h without the zero at its end. */
const ADDRESS_BYTES = 107
/** Whoever takes longer to answer is busy, and not dead. */
const ANSWER_MS = 1000

/**
 * Makes a socket that answers as long as this process lives, to processes of all PID and network namespaces. Dispose the result to
 * remove it.
 *
 * @throws what the system does where the folder takes no sockets; nothing is left of it
 */
export async function showLife(folder: string, name: string): Promise<AsyncDisposable> {
  const server = createServer((connection) => connection.destroy())
  // A connection that could not be taken was answered all the same.
  server.on('error', () => undefined)
  const fresh = `${name}.new`
  const file = join(folder, name)
  try {
    await withAddress(folder, fresh, async (path) => {
      // By itself also where it is one of a cluster's workers, whose sockets live as long as the first of them.
      server.listen({ path, exclusive: true }).unref()
      await once(server, 'listening')
    })
    // One that refuses counts as left over: it gets its name when it answers.
    await rename(join(folder, fresh), file)
  } catch (error) {
    server.close()
    await rm(join(folder, fresh), { force: true })
    throw error
  }
  return {
    [Symbol.asyncDispose]: async () => {
      server.close()
      await rm(file, { force: true })
    },
  }
}

/** Whether the process that has made a socket lives, or may live. */
export function answers(folder: string, name: string): Promise<boolean> {
  return withAddress(folder, name, connects).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException
    return code !== 'ECONNREFUSED' && code !== 'ENOENT'
  })
}

async function connects(path: string): Promise<boolean> {
  const connection = createConnection({ path })
  try {
    await once(connection, 'connect', { signal: AbortSignal.timeout(ANSWER_MS) })
    return true
  } finally {
    connection.destroy()
  }
}

/** Calls with the address of a socket, by way of the folder's descriptor where it would be too long. */
async function withAddress<T>(folder: string, name: string, use: (address: string) => Promise<T>): Promise<T> {
  const address = join(folder, name)
  if (isAddress(address)) return use(address)
  const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    const short = `/proc/self/fd/${handle.fd}/${name}`
    // Node cuts off what is too long, and would ask another socket.
    if (!isAddress(short)) throw new RangeError(`${name} is too long a name for a socket`)
    return await use(short)
  } finally {
    await handle.close()
  }
}

function isAddress(path: string): boolean {
  return Buffer.byteLength(path) <= ADDRESS_BYTES
}
