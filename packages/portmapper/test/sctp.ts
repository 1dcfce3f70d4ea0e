import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SctpSocket, type SctpLabel } from '@net/netlink-ffi'

const ECHO = fileURLToPath(new URL('sctp-echo.py', import.meta.url))

/** A message as a test has it. */
export interface SctpMessage extends SctpLabel {
  readonly text: string
}

/** The server of a container, in another language, and what it says it sees. */
export interface SctpEcho extends AsyncDisposable {
  readonly port: number
  /** The next line. */
  said(): Promise<string>
}

/** Starts one in the namespace of the calling thread. */
export async function sctpEcho(address: string, port = 0): Promise<SctpEcho> {
  const child = spawn('python3', [ECHO, address, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const said = async (): Promise<string> => String((await lines.next()).value)
  return {
    port: Number(await said()),
    said,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await once(child, 'close')
    },
  }
}

/** A client, which waits where a socket does not. */
export class SctpClient implements Disposable {
  readonly socket: SctpSocket
  #wake: () => void = () => undefined
  readonly #alive = setInterval(() => undefined, 1000)

  private constructor(socket: SctpSocket) {
    this.socket = socket
    socket.watch(() => {
      socket.wait({ readable: false, writable: false })
      this.#wake()
    })
  }

  /** An association with there. @throws SystemCallError: ECONNREFUSED */
  static async connect(address: string, port: number, streams = 10): Promise<SctpClient> {
    const client = new SctpClient(SctpSocket.connect({ address, port }, streams))
    try {
      await client.#until({ readable: false, writable: true })
      const error = client.socket.takeError()
      if (error !== undefined) throw error
      return client
    } catch (error) {
      client[Symbol.dispose]()
      throw error
    }
  }

  async send(text: string, label: Partial<SctpLabel> = {}): Promise<void> {
    const payload = Buffer.from(text)
    while (!this.socket.send(payload, { stream: 0, protocol: 0, isUnordered: false, ...label })) {
      await this.#until({ readable: false, writable: true })
    }
  }

  /** The next message; undefined at the end. */
  async receive(): Promise<SctpMessage | undefined> {
    let text = ''
    for (;;) {
      const part = this.socket.receive()
      if (part === 'end') return undefined
      if (part === 'nothing') {
        await this.#until({ readable: true, writable: false })
        continue
      }
      text += Buffer.from(part.payload).toString('latin1')
      if (part.isLast) return { text, ...part.label }
    }
  }

  /** What comes back. */
  async exchange(text: string, label: Partial<SctpLabel> = {}): Promise<string | undefined> {
    await this.send(text, label)
    return (await this.receive())?.text
  }

  [Symbol.dispose](): void {
    clearInterval(this.#alive)
    this.socket.close()
  }

  #until(interest: Parameters<SctpSocket['wait']>[0]): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      this.socket.wait(interest)
    })
  }
}
