import { closeSync, writeSync } from 'node:fs'
import { expect, it, onTestFinished } from 'vitest'
import { libc, watchReadable } from './libc.ts'
import { socketPair } from './sockets/socket-pair.ts'

/** The next error that nobody catches. */
function uncaught(): Promise<unknown> {
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException')
    for (const listener of others) process.on('uncaughtException', listener)
  })
  return new Promise((resolve) => process.on('uncaughtException', resolve))
}

it('leaves what a callback throws to nobody, least of all to the next native call', async () => {
  const [one, other] = socketPair()
  const thrown = new RangeError('of the callback')
  const heard = uncaught()
  let call: number | Error | undefined
  const watch = watchReadable(one, () => {
    watch.close()
    queueMicrotask(() => {
      try {
        call = libc().fcntl(one, 1, 0) // F_GETFD
      } catch (error) {
        call = error as Error
      }
    })
    throw thrown
  })

  writeSync(other, 'x')

  expect(await heard).toBe(thrown)
  expect(call).toBeTypeOf('number')
  for (const fd of [one, other]) closeSync(fd)
})
