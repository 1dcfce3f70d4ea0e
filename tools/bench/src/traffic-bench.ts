import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openController } from '@net/libnetwork'
import { median, pause, timed, type Measurement } from './measure.ts'
import { Outside, startAt, type Running } from './outside.ts'

const RESTARTS = 20
/** Between two kills, so that there is traffic while somebody is there as well. */
const BETWEEN_MS = 250
const KEEPER = fileURLToPath(new URL('keeper.js', import.meta.url))

/** Where the keeper's containers are. */
interface Places {
  readonly server: string
  readonly client: string
  readonly address: string
}

/**
 * Kills a controller's process and starts it again, time and again, while iperf3 sends from one of its containers to
 * the other, one HTTP connection through a published port asks and asks, and a program asks for a name.
 */
export async function measureTrafficOverRestarts(): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'net-bench-traffic-'))
  try {
    return await measureIn(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function measureIn(folder: string): Promise<Measurement[]> {
  const places = { stateDirectory: join(folder, 'state'), runtimeDirectory: join(folder, 'run') }
  const keeper = new Keeper(Object.values(places))
  const where = await keeper.start()
  await using outside = Outside.open(join(folder, 'outside'))
  const started: Running[] = []
  const server = startAt(where.server)
  const client = startAt(where.client)
  try {
    started.push(await serving(server('iperf3', '-s', '--forceflush')))
    started.push(await serving(server(process.execPath, '-e', HTTP_SERVER)))
    const stream = client('iperf3', '-c', where.address, '-t', '600', '-J')
    const http = outside.start(process.execPath, '-e', HTTP_CLIENT, 'http://192.0.2.1:8080/')
    const names = client(process.execPath, '-e', NAME_CLIENT, where.address)
    const reports = [stream, http, names].map(reportOf)
    const downs: number[] = []
    for (let at = 0; at < RESTARTS; at++) {
      await pause(BETWEEN_MS)
      downs.push(await timed(() => keeper.restart()))
    }
    await pause(BETWEEN_MS)
    for (const program of [stream, http, names]) program.kill('SIGINT')
    return measurements(await Promise.all(reports), downs)
  } finally {
    for (const program of started) program.kill()
    await keeper.kill()
    const last = await openController({ ...places, onClose: 'delete' })
    await last.close()
  }
}

/** The process that is killed. */
class Keeper {
  readonly #args: readonly string[]
  #process: ChildProcess | undefined

  constructor(args: readonly string[]) {
    this.#args = args
  }

  /** Resolves when it has opened its records. */
  async start(): Promise<Places> {
    const child = spawn(process.execPath, [KEEPER, ...this.#args], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#process = child
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    return JSON.parse(line.toString()) as Places
  }

  async restart(): Promise<void> {
    await this.kill()
    await this.start()
  }

  async kill(): Promise<void> {
    if (this.#process === undefined) return
    this.#process.kill('SIGKILL')
    await once(this.#process, 'exit')
    this.#process = undefined
  }
}

function measurements([stream, http, names]: readonly string[], downs: readonly number[]): Measurement[] {
  const { end, error } = JSON.parse(stream ?? '') as IperfReport
  const asked = JSON.parse(http ?? '') as { answers: number; failures: number; connections: number; longestMs: number }
  const { longestMs } = JSON.parse(names ?? '') as { longestMs: number }
  if (isBroken(error) || asked.failures > 0 || asked.connections !== 1) {
    throw new Error(`a connection broke over kills: ${JSON.stringify({ error, ...asked })}`)
  }
  const gigabits = (end?.sum_sent?.bits_per_second ?? Number.NaN) / 1e9
  const { retransmits } = end?.sum_sent ?? {}
  return [
    {
      ...{ name: 'restart-stream', unit: 'Gb/s', ours: gigabits },
      note: `over ${RESTARTS} kills: ${retransmits ?? '?'} retransmissions, one connection`,
    },
    {
      ...{ name: 'restart-http', unit: 'ms', ours: asked.longestMs },
      note: `longest answer of ${asked.answers}; failures: ${asked.failures}, connections: ${asked.connections}`,
    },
    {
      ...{ name: 'restart-names', unit: 'ms', ours: longestMs },
      note: `longest without names; from kill to opened again: ${median(downs).toFixed(0)} ms, longest ${Math.max(...downs).toFixed(0)} ms`,
    },
  ]
}

interface IperfReport {
  readonly error?: string
  readonly end?: {
    readonly sum_sent?: { readonly bits_per_second: number; readonly retransmits: number }
  }
}

/** That it was told to end is no error of the connection. */
function isBroken(error: string | undefined): boolean {
  return error !== undefined && !error.includes('interrupt')
}

async function serving(program: Running): Promise<Running> {
  if (program.stdout !== null) await once(program.stdout, 'data')
  return program
}

async function reportOf(program: Running): Promise<string> {
  let text = ''
  program.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  await once(program, 'close')
  return text
}

const HTTP_SERVER = `
  const server = require('http').createServer({ keepAliveTimeout: 600000 }, (request, response) => response.end('hello'))
  server.listen(80, () => console.log('ready'))
`

/** One connection, one question after the other. */
const HTTP_CLIENT = `
  const http = require('http')
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const sockets = new Set()
  let [answers, failures, longestMs, isOver] = [0, 0, 0, false]
  const ask = () => new Promise((resolve) => {
    const start = performance.now()
    const end = (failed) => {
      longestMs = Math.max(longestMs, performance.now() - start)
      failed ? failures++ : answers++
      setTimeout(resolve, 1)
    }
    const request = http.get(process.argv[1], { agent }, (response) => {
      response.resume().on('end', () => end(false))
    })
    request.on('socket', (socket) => sockets.add(socket)).on('error', () => end(true))
  })
  process.on('SIGINT', () => { isOver = true })
  ;(async () => {
    while (!isOver) await ask()
    console.log(JSON.stringify({ answers, failures, connections: sockets.size, longestMs }))
    process.exit()
  })()
`

/** Asks for a name every few milliseconds, and says how long it was not answered. */
const NAME_CLIENT = `
  const socket = require('dgram').createSocket('udp4')
  const question = Buffer.from('000001000001000000000000067365727665720000010001', 'hex')
  let [last, longestMs] = [performance.now(), 0]
  const look = () => { longestMs = Math.max(longestMs, performance.now() - last) }
  socket.on('message', () => { look(); last = performance.now() }).on('error', () => undefined)
  setInterval(() => socket.send(question, 53, '127.0.0.11', () => undefined), 3)
  process.on('SIGINT', () => { look(); console.log(JSON.stringify({ longestMs })); process.exit() })
`
