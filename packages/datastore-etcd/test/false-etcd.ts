import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** Answers a request to a path below `/v3/`. */
export type Answer = (path: string, body: string, response: ServerResponse) => void

/** A server that can be told to answer anything. */
export interface FalseEtcd extends AsyncDisposable {
  readonly endpoint: string
  /** What it answers from now on, other than to the questions that come with opening a store. */
  answer: Answer
}

/** Starts one that knows no more than that the store has format 1. */
export async function startFalseEtcd(): Promise<FalseEtcd> {
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const path = request.url?.replace('/v3/', '') ?? ''
      if (body.includes(FORMAT_KEY)) response.end(rangeOf({ key: FORMAT_KEY, value: 'MQ==', mod_revision: '1' }))
      else fake.answer(path, body, response)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const fake: FalseEtcd = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answer: (_path, _body, response) => response.end(rangeOf()),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await once(server.close(), 'close')
    },
  }
  return fake
}

/** A range as etcd answers it. */
export function rangeOf(...kvs: object[]): string {
  return JSON.stringify({ header: { revision: '7' }, kvs })
}

/** What etcd calls a key below the store's prefix. */
export function keyOf(name: string): string {
  return Buffer.from(`net/${name}`).toString('base64')
}

const FORMAT_KEY = keyOf('format')
