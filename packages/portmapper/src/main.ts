#!/usr/bin/env node
/** The program `net-proxy`: one forward, as docker-proxy serves it, or all of a controller. */
import { readFileSync } from 'node:fs'
import { ControlServer } from './control/control-server.ts'
import { parseArguments, type Purpose } from './docker-proxy/arguments.ts'
import { reportFailure, reportReady } from './docker-proxy/status-pipe.ts'
import { UserlandProxy } from './proxy.ts'

/** The descriptor of a socket that is bound already, where one is handed over. */
const LISTEN_FD = 4

try {
  await run(parseArguments(process.argv.slice(2)))
} catch (error) {
  const message = error instanceof Error ? error.message : String(error)
  if (!reportFailure(message)) process.stderr.write(`net-proxy: ${message}\n`)
  process.exit(1)
}

async function run(purpose: Purpose): Promise<void> {
  switch (purpose.kind) {
    case 'version':
      process.stdout.write(`net-proxy version ${readVersion()}\n`)
      return
    case 'forward':
      await serveOne(purpose)
      return
    case 'control':
      await serveAll(purpose)
  }
}

async function serveOne({ forward, usesListenFd }: Purpose & { readonly kind: 'forward' }): Promise<void> {
  const proxy = new UserlandProxy()
  await proxy.openForward(forward, usesListenFd ? { fd: LISTEN_FD } : {})
  const ended = signalled()
  reportReady()
  await ended
  await proxy.close()
  process.exit(0)
}

async function serveAll({ folder, endsWithClient }: Purpose & { readonly kind: 'control' }): Promise<void> {
  process.umask(0o077)
  const proxy = new UserlandProxy({ isShared: true })
  const control = await ControlServer.listen(folder, proxy, { endsWithClient })
  const ended = signalled()
  reportReady()
  await Promise.race([ended, control.ended])
  await control.close()
  await proxy.close()
  process.exit(0)
}

/** Resolves when somebody wants this process to end. UDP sockets alone would not keep it alive until then. */
function signalled(): Promise<void> {
  setInterval(() => undefined, 0x7fffffff)
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        resolve()
      })
    }
  })
}

function readVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    readonly version: string
  }
  return version
}
