import { once } from 'node:events'
import { afterEach, expect, it } from 'vitest'
import type { Program } from './spawn/messages.ts'
import { Spawner } from './spawner.ts'

/** A thread that says of each program that it runs, and does with it what the program's arguments say. */
const THREAD = `
  import { parentPort, workerData } from 'node:worker_threads'
  parentPort.on('message', (order) => {
    if (order.kind === 'kill') {
      parentPort.postMessage({ kind: 'exited', id: order.id, code: null, signal: order.signal ?? 'SIGTERM' })
      return
    }
    const { id, program: { command, args } } = order
    if (command === 'refuse') {
      parentPort.postMessage({ kind: 'failed', id, failure: { message: 'no', properties: { code: 'ENOENT' } } })
      return
    }
    parentPort.postMessage({ kind: 'started', id, pid: 7 })
    if (command === 'capabilities') {
      const code = workerData.capabilities.length
      parentPort.postMessage({ kind: 'exited', id, code, signal: null })
    }
    if (command === 'break') throw new Error('broken')
    if (command === 'end') setImmediate(() => process.exit(1))
  })
`
const thread = new URL(`data:text/javascript,${encodeURIComponent(THREAD)}`)
const program = (command: string): Program => ({
  ...{ key: '/nowhere', command, args: [], env: {}, cwd: '/' },
  view: { files: [], hostname: 'web' },
})

let spawner = new Spawner({ thread })
afterEach(() => {
  spawner.close()
  spawner = new Spawner({ thread })
})

it.each([
  ['break', 'broken'],
  ['end', 'the thread that starts programs has ended'],
])('tells all whose thread is gone: %s', async (command, message) => {
  const other = spawner.start(program('sleep'))
  await once(other, 'spawn')
  const otherFailed = once(other, 'error')
  const failed = once(spawner.start(program(command)), 'error')

  expect(await otherFailed).toMatchObject([{ message }])
  expect(await failed).toMatchObject([{ message }])
  expect(other.kill()).toBe(false)
})

it('starts another thread once one is gone', async () => {
  const broken = spawner.start(program('end'))
  await once(broken, 'error')
  await once(broken, 'close')

  const next = spawner.start(program('capabilities'))

  expect(await once(next, 'exit')).toEqual([0, null])
})

it('closes a process that could not be started, with its streams', async () => {
  const refused = spawner.start(program('refuse'))
  const closed = once(refused, 'close').catch(() => once(refused, 'close'))

  expect(await once(refused, 'error')).toMatchObject([{ message: 'no', code: 'ENOENT' }])
  expect(await closed).toEqual([null, null])
  expect(refused.stdio.map((stream) => stream?.destroyed)).toEqual([true, true, true])
  expect([refused.pid, refused.exitCode]).toEqual([undefined, null])
})

it('leaves nothing with a signal once the program is gone, however it went', async () => {
  const controller = new AbortController()
  const added: unknown[] = []
  const { signal } = controller
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    added.push(args[1])
    add(...args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    added.splice(added.indexOf(args[1]), 1)
    remove(...args)
  }

  for (const command of ['refuse', 'capabilities']) {
    const started = spawner.start(program(command), { signal })
    started.on('error', () => undefined)
    await new Promise((resolve) => started.once('close', resolve))
  }

  expect(added).toEqual([])
})

it('has a thread for programs of the same capabilities, whatever their order', async () => {
  const one = spawner.start(program('capabilities'), { capabilities: ['NET_RAW', 'NET_ADMIN', 'NET_RAW'] })
  expect(await once(one, 'exit')).toEqual([2, null])
  const none = spawner.start(program('capabilities'))
  expect(await once(none, 'exit')).toEqual([0, null])
})

it('starts nothing once it is closed, and lets go of what runs when that ends', async () => {
  const running = spawner.start(program('sleep'))
  await once(running, 'spawn')
  spawner.close()

  expect(() => spawner.start(program('sleep'))).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }) as Error)
  running.kill('SIGKILL')
  expect(await once(running, 'exit')).toEqual([null, 'SIGKILL'])
})
