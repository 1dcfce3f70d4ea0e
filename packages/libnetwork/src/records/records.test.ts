import { memoryStore, ValueDamagedError, type Store } from '@net/datastore'
import { randomId, silentLogger, Turns } from '@net/types'
import { beforeEach, describe, expect, it } from 'vitest'
import type { EndpointEntry, SandboxEntry } from '../state.ts'
import { Records } from './records.ts'
import { recordForms, type StoredSandbox } from './stored-forms.ts'

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const decode = ({ value }: { readonly value: Uint8Array }): unknown => JSON.parse(new TextDecoder().decode(value))

let store: Store
const open = (): Records => new Records(store, silentLogger)

beforeEach(() => {
  store = memoryStore()
})

function sandboxOf(controllerId: string): StoredSandbox {
  const id = randomId()
  const key = `/run/net/${controllerId}/${id.slice(0, 12)}`
  return {
    record: { id, containerId: id, phase: 'ready', hostname: 'web', key },
    wishes: { hostname: 'web', extraHosts: [] },
    endpoints: [],
  }
}

function endpointOf(networkId: string, name: string): EndpointEntry {
  const record = { id: randomId(), networkId, name, phase: 'ready', macAddress: '', options: {} } as const
  return { record: { ...record, aliases: [], ports: [], exposed: [] }, ports: new Map(), gatewayFor: [] }
}

const putSandbox = (value: StoredSandbox): Promise<number> =>
  store.put(`sandboxes/${value.record.id}`, encode({ version: 1, value }))

describe('the record of a controller that cannot be read', () => {
  const garbage = encode({ version: 1, value: { id: 7 } })

  it('is made up for by its copy, and is told of and stays until it is forgotten', async () => {
    const { id } = await open().controller()
    await open().keepController({ id, forwarding: [4] })
    await store.put('controllers/self', garbage)

    const records = open()
    expect(await records.controller()).toEqual({ id, forwarding: [4] })
    expect((await records.load(new Turns())).refused).toMatchObject([
      { key: 'controllers/self', error: { code: 'ERR_RECORD_REFUSED' } },
    ])
    await records.keepController({ id, forwarding: [4, 6] })
    expect(decode(await store.get('controllers/self'))).toEqual({ version: 1, value: { id: 7 } })
    await records.forgetRefused('controllers/self')
    await store.delete('controllers/copy')
    expect(await open().controller()).toEqual({ id, forwarding: [4, 6] })
  })

  it('is made up for where its medium damaged it, too', async () => {
    const { id } = await open().controller()
    const damaged = new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return (...args: unknown[]): unknown =>
          name === 'find' && args[0] === 'controllers/self'
            ? Promise.reject(new ValueDamagedError('controllers/self', 'the checksum differs'))
            : (member as (...all: unknown[]) => unknown).apply(target, args)
      },
    })

    const records = new Records(damaged, silentLogger)
    expect((await records.controller()).id).toBe(id)
    expect((await records.load(new Turns())).refused).toMatchObject([
      { key: 'controllers/self', error: { code: 'ERR_VALUE_DAMAGED' }, value: undefined },
    ])
  })

  it('is made up for by the paths of namespaces where there is no copy', async () => {
    const id = randomId()
    await store.put('controllers/self', garbage)
    await putSandbox(sandboxOf(id))
    await putSandbox(sandboxOf(id))

    expect(await open().controller()).toEqual({ id, forwarding: [] })
    expect(decode(await store.get('controllers/copy'))).toEqual({ version: 1, value: { id, forwarding: [] } })
  })

  it('is refused where nothing else says whose records these are, or not with one voice', async () => {
    await store.put('controllers/self', garbage)
    const refusal = { code: 'ERR_CONTROLLER_RECORD', message: expect.stringContaining('restoreLmdbStore') as string }
    await expect(open().controller()).rejects.toMatchObject(refusal)
    await putSandbox(sandboxOf(randomId()))
    await putSandbox(sandboxOf(randomId()))
    await expect(open().controller()).rejects.toMatchObject(refusal)
  })

  it('is written anew where it is gone, and copied where only the copy is', async () => {
    const { id } = await open().controller()
    await store.delete('controllers/self')
    expect((await open().controller()).id).toBe(id)
    await store.put('controllers/copy', garbage)
    expect((await open().controller()).id).toBe(id)
    expect(decode(await store.get('controllers/copy'))).toEqual(decode(await store.get('controllers/self')))
  })
})

describe('a sandbox with more endpoints than a transaction takes', () => {
  it('is being deleted from when the first of them is forgotten', async () => {
    const sandbox = sandboxOf(randomId())
    await putSandbox(sandbox)
    const endpoints = Array.from({ length: 120 }, () => ({ record: { id: randomId() } }))
    for (const { record } of endpoints) await store.put(`endpoints/${record.id}`, encode({}))
    let left = 1
    const dying = new Proxy(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        if (name === 'transaction' && left-- === 0) return () => Promise.reject(new Error('killed'))
        return member.bind(target) as unknown
      },
    })
    const entry = { record: sandbox.record, naming: { wishes: sandbox.wishes }, endpoints: new Set() } as unknown

    const forgetting = new Records(dying, silentLogger).forget({ endpoints, sandboxes: [entry as SandboxEntry] })
    await expect(forgetting).rejects.toThrow('killed')
    expect((await store.list('endpoints/')).entries.length).toBeLessThan(120)
    expect((await open().load(new Turns())).sandboxes.map(({ record }) => record.phase)).toEqual(['deleting'])
  })

  it('is kept as it is by the time that each part is written', async () => {
    const networkId = randomId()
    const endpoints = Array.from({ length: 120 }, (_, at) => endpointOf(networkId, `before-${at}`))
    const last = endpoints[119]!
    const records = open()

    const keeping = records.keep({ endpoints })
    last.record = { ...last.record, name: 'after' }
    await records.keep({ endpoints: [last] })
    await keeping

    const kept = (await open().load(new Turns())).endpoints.map(({ record }) => record.name)
    expect(kept).toHaveLength(120)
    expect(kept).toContain('after')
  })
})

describe('records of an older form', () => {
  it('are migrated when they are read', async () => {
    const sandbox = sandboxOf(randomId())
    const { record, ...rest } = sandbox
    const { hostname, ...older } = record
    await store.put(`sandboxes/${record.id}`, encode({ version: 0, value: { ...rest, record: older, name: hostname } }))
    const migrate = (value: unknown): unknown => {
      const { name, record: had, ...others } = value as { readonly name: string; readonly record: object }
      return { ...others, record: { ...had, hostname: name } }
    }

    const migrations = { ...recordForms.sandboxes.migrations, 0: migrate }
    const sandboxes = { ...recordForms.sandboxes, migrations }
    const records = new Records(store, silentLogger, { ...recordForms, sandboxes })
    expect(await records.load(new Turns())).toMatchObject({ sandboxes: [sandbox], refused: [] })
    expect(await open().load(new Turns())).toMatchObject({
      sandboxes: [],
      refused: [{ error: { code: 'ERR_RECORD_REFUSED' } }],
    })
  })
})

describe('what did not come about', () => {
  it('is still owed to the store after a write of it that was under way', async () => {
    let write = (): void => undefined
    const held = new Promise<void>((resolve) => (write = resolve))
    const writes = [() => held, () => Promise.reject(new Error('no write goes through'))]
    const slow = new Proxy(store, {
      get: (target, name) => {
        const member = Reflect.get(target, name) as (...all: unknown[]) => unknown
        if (name !== 'transaction') return member.bind(target)
        return async (...args: unknown[]): Promise<unknown> => {
          await writes.shift()?.()
          return member.apply(target, args)
        }
      },
    })
    const records = new Records(slow, silentLogger)
    const entry = endpointOf(randomId(), 'web')

    const keeping = records.keep({ endpoints: [entry] })
    await expect(records.discard({ endpoints: [entry] })).rejects.toThrow('no write goes through')
    write()
    await keeping
    expect(await store.find(`endpoints/${entry.record.id}`)).toBeDefined()

    await records.settle()
    expect(await store.find(`endpoints/${entry.record.id}`)).toBeUndefined()
  })
})
