import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { StateFolder } from './lab.ts'

await enterFreshHost()

const KEEPER = fileURLToPath(new URL('traffic-keeper.mjs', import.meta.url))
const KILLS = 3

/** What the keeper says of its containers: addresses and places of both families, IPv4 first. */
interface Places {
  readonly server: string
  readonly client: string
  readonly addresses: readonly string[]
  readonly host: readonly string[]
  readonly port: number
}

const ECHO = `require('net').createServer((socket) => socket.pipe(socket)).listen(7, '::', () => console.log('ready'))`
/** Sends each line of its input to the server by one connection, and prints what comes back. */
const TALK = `
  const socket = require('net').connect(7, process.argv[1])
  socket.pipe(process.stdout)
  process.stdin.pipe(socket)
`

let folder: StateFolder
let keeper: ChildProcess | undefined
let programs: ChildProcess[]

beforeEach(() => {
  folder = new StateFolder('kills')
  programs = []
})
afterEach(async () => {
  for (const program of programs) program.kill('SIGKILL')
  await kill()
  await folder.expectNothingLeft()
})

async function start(): Promise<Places> {
  const { stateDirectory, runtimeDirectory } = folder.places
  keeper = spawn(process.execPath, [KEEPER, stateDirectory, runtimeDirectory], { stdio: ['pipe', 'pipe', 'inherit'] })
  return JSON.parse(await nextLine(keeper)) as Places
}

async function kill(): Promise<void> {
  if (keeper === undefined) return
  keeper.kill('SIGKILL')
  await once(keeper, 'exit')
  keeper = undefined
}

/** A program in a container that is nobody's child: it lives whatever becomes of the controller. */
function runIn(key: string, ...args: readonly string[]): ChildProcess {
  const command = [`--net=${key}`, process.execPath, '-e', ...args]
  const program = spawn('nsenter', command, { stdio: ['pipe', 'pipe', 'inherit'] })
  programs.push(program)
  return program
}

async function nextLine({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error('no output to wait for')
  const lines = createInterface({ input: stdout })
  const [line] = (await once(lines, 'line')) as [string]
  lines.close()
  return line
}

/** Whether the server sends back what it is sent, by a connection that is there already. */
async function echoes(socket: Socket, text: string): Promise<boolean> {
  socket.write(text)
  const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(5_000) })) as [Buffer]
  return answer.toString() === text
}

describeKernel('connections over kills of the controller', () => {
  it('go on: through a published port and between containers, of both families', async () => {
    const { server, client, addresses, host, port } = await start()
    await nextLine(runIn(server, ECHO))
    const sockets = await Promise.all(
      host.map(async (address) => {
        const socket = connect(port, address)
        await once(socket, 'connect')
        return socket
      }),
    )
    const talks = addresses.map((address) => runIn(client, TALK, address))

    for (let at = 0; at <= KILLS; at++) {
      for (const socket of sockets) expect(await echoes(socket, `host ${at}`)).toBe(true)
      for (const talk of talks) {
        talk.stdin?.write(`container ${at}\n`)
        expect(await nextLine(talk)).toBe(`container ${at}`)
      }
      await kill()
      // Nobody is there now.
      for (const socket of sockets) expect(await echoes(socket, `alone ${at}`)).toBe(true)
      expect(await start()).toMatchObject({ server, client, port, recovered: 2 })
    }
    for (const socket of sockets) socket.destroy()
  })
})
