#!/usr/bin/env node
import { connect } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { keySocketOf, MAX_ANSWER_LENGTH, SUCCESS, type KeyMessage } from './keys/key-message.ts'

/*
 * A hook of OCI runtimes (prestart or createRuntime): hands the namespace that the runtime made over to a controller,
 * and waits until the interfaces of the container are in it. libnetwork: libnetwork-setkey.
 */

const USAGE = 'usage: net-setkey [--runtime-directory DIR] [--timeout-ms N] CONTAINER_ID CONTROLLER_ID < STATE'
/** A state of the runtime's is a few hundred bytes, and as many annotations as somebody likes. */
const MAX_STATE_BYTES = 1_048_576

interface Arguments {
  readonly containerId: string
  readonly socket: string
  readonly timeoutMs: number
}

function parse(): Arguments {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'runtime-directory': { type: 'string', default: '/run/net' },
      'timeout-ms': { type: 'string', default: '30000' },
    },
  })
  const [containerId, controllerId, ...rest] = positionals
  const timeoutMs = Number(values['timeout-ms'])
  if (containerId === undefined || controllerId === undefined || rest.length > 0) throw new Error(USAGE)
  if (!/^[0-9a-f]{64}$/.test(controllerId)) throw new Error(`no id of a controller: ${controllerId}`)
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1)
    throw new Error(`no number of milliseconds: ${values['timeout-ms']}`)
  return { containerId, socket: keySocketOf(join(values['runtime-directory'], controllerId)), timeoutMs }
}

/** The id of the container's first process, as the runtime says on standard input. */
async function readPid(): Promise<number> {
  let text = ''
  for await (const chunk of process.stdin) {
    text += String(chunk)
    if (text.length > MAX_STATE_BYTES) throw new Error('the state of the container is too long')
  }
  const { pid } = JSON.parse(text) as { pid?: unknown }
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1) {
    throw new Error(`the state of the container has no process: ${JSON.stringify(pid)}`)
  }
  return pid
}

/** Hands the namespace over; resolves with the controller's answer. */
function handOver(path: string, message: KeyMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    // It stays open on this side: to hang up is to give up.
    const socket = connect(path, () => socket.write(JSON.stringify(message)))
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      answer = (answer + chunk).slice(0, MAX_ANSWER_LENGTH)
    })
    socket.once('end', () => {
      socket.end()
      resolve(answer)
    })
    socket.once('error', reject)
  })
}

function fail(problem: string): never {
  process.stderr.write(`net-setkey: ${problem}\n`)
  process.exit(1)
}

try {
  const { containerId, socket, timeoutMs } = parse()
  setTimeout(() => fail(`no answer from ${socket} within ${timeoutMs} ms`), timeoutMs).unref()
  const pid = await readPid()
  const answer = await handOver(socket, { ContainerID: containerId, Key: `/proc/${pid}/ns/net` })
  if (answer !== SUCCESS) fail(answer === '' ? 'the controller went away' : answer)
} catch (error) {
  fail(error instanceof Error ? error.message : String(error))
}
