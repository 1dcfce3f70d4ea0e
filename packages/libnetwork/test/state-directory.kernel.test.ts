import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { memoryStore, type Store } from '@net/datastore'
import { openLmdbStore, restoreLmdbStore } from '@net/datastore-lmdb'
import { DatagramSocket } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { shortId } from '@net/types'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import {
  openController,
  type Attachment,
  type Controller,
  type ControllerOptions,
  type PortRequest,
} from '../src/index.ts'
import { attachPublished, fetchFromHost, openWeb, StateFolder, traces } from './lab.ts'

await enterFreshHost()

let folder: StateFolder

const open = (options: ControllerOptions = {}): Promise<Controller> => openController({ ...folder.places, ...options })

const attach = (net: Controller, name: string): Promise<Attachment> => attachPublished(net, 'blue', name)

beforeEach(() => {
  folder = new StateFolder('state')
  mkdirSync(folder.places.stateDirectory)
})
afterEach(() => folder.expectNothingLeft())

describeKernel('an opening that fails', () => {
  it('leaves living containers what they live on', async () => {
    const first = await open()
    await using web = await openWeb(first)
    const { url } = web
    await first.close()
    using other = DatagramSocket.bind({ address: '127.0.0.1', port: 0 })

    const dns = { host: { port: other.localAddress.port } }
    await expect(open({ dns, onClose: 'delete' })).rejects.toThrow('EADDRINUSE')
    expect(await fetchFromHost(url)).toBe('hello')
  })

  it('leaves nothing where nothing was', async () => {
    using other = DatagramSocket.bind({ address: '127.0.0.1', port: 0 })

    await expect(open({ dns: { host: { port: other.localAddress.port } } })).rejects.toThrow('EADDRINUSE')
    expect(traces()).toEqual(folder.before)
  })
})

describeKernel('a full disk', () => {
  it('refuses what it has no room for, and nothing else is touched', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', folder.places.stateDirectory])
    try {
      const net = await open()
      await using web = await openWeb(net, { ipv6: true })
      const { url } = web
      const filler = join(folder.places.stateDirectory, 'filler')
      fill(filler)
      const as = traces()

      // What needs less room may find it where another did not.
      const port = (at: number): PortRequest[] => [{ containerPort: 81 + at }]
      const attached = await untilRefused((at) => attach(net, `c${at}`))
      const networks = await untilRefused((at) => net.createNetwork({ name: `red${at}` }))
      const published = await untilRefused(async (at) => (await web.endpoint.publish(port(at)), at))
      for (const attachment of attached) await free(filler, () => attachment.detach())
      for (const network of networks) await free(filler, () => network.delete())
      for (const at of published) await free(filler, () => web.endpoint.unpublish(port(at)))
      await vi.waitFor(() => {
        expect(traces()).toEqual(as)
      })
      expect(await fetchFromHost(url)).toBe('hello')

      rmSync(filler)
      await (await attach(net, 'again')).detach()
      await net.close()
      const last = await open({ onClose: 'delete' })
      expect(last.sandboxes().map(({ containerId }) => containerId)).toEqual(['web'])
      expect(await fetchFromHost(url)).toBe('hello')
      await last.close()
    } finally {
      execFileSync('umount', ['-l', folder.places.stateDirectory])
    }
  })
})

/** Writes until the disk is full. */
function fill(path: string): void {
  for (const bytes of [65_536, 4096, 256]) {
    try {
      for (;;) writeFileSync(path, Buffer.alloc(bytes), { flag: 'a' })
    } catch {
      // Smaller pieces may fit.
    }
  }
}

/** Does something with some room on the disk, which is full again then. */
async function free(filler: string, work: () => Promise<void>): Promise<void> {
  rmSync(filler)
  await work()
  fill(filler)
}

/** What came of it, again and again, until there was no room for it. */
async function untilRefused<T>(work: (at: number) => Promise<T>): Promise<T[]> {
  const made: T[] = []
  let refusal: unknown
  while (refusal === undefined && made.length < 200) {
    await work(made.length).then(
      (one) => made.push(one),
      (error: unknown) => (refusal = error),
    )
  }
  expect(refusal).toMatchObject({ code: 'ERR_STORE_FULL', kind: 'no-service' })
  return made
}

describeKernel('a state directory', () => {
  it('that cannot be written is refused', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro', 'none', folder.places.stateDirectory])
    try {
      await expect(open()).rejects.toMatchObject({ code: 'ERR_STORE_READ_ONLY', kind: 'forbidden' })
      expect(traces()).toEqual(folder.before)
    } finally {
      execFileSync('umount', ['-l', folder.places.stateDirectory])
    }
  })

  it('that somebody has open is refused to others, in other network namespaces too, and who it is is said each time', async () => {
    const net = await open()
    await using web = await openWeb(net)
    const options = JSON.stringify({ ...folder.places, onClose: 'delete' })
    const program = `
      import { openController } from '@net/libnetwork'
      const refusal = await openController(${options}).catch((error) => error)
      console.log(refusal.code, refusal.pid)
    `
    const command = ['--net', process.execPath, '--input-type=module', '-e', program]
    const cwd = fileURLToPath(new URL('.', import.meta.url))

    expect(execFileSync('unshare', command, { encoding: 'utf8', cwd })).toBe(`ERR_CONTROLLER_RUNNING ${process.pid}\n`)
    for (let time = 0; time < 10; time++) {
      await expect(open()).rejects.toMatchObject({ code: 'ERR_CONTROLLER_RUNNING', pid: process.pid })
    }
    expect(await fetchFromHost(web.url)).toBe('hello')
    await net.close()
  })

  it('that is a file is refused', async () => {
    const path = join(folder.path, 'file')
    writeFileSync(path, 'mine')

    await expect(open({ stateDirectory: path })).rejects.toMatchObject({ code: 'ERR_INVALID_STORE_OPTION' })
    expect([readFileSync(path, 'utf8'), traces()]).toEqual(['mine', folder.before])
  })

  it('of a newer version is refused, and left as it is', async () => {
    const local = memoryStore()
    await (await openController({ stores: { local }, onClose: 'delete' })).close()
    const { value } = await local.get('controllers/self')
    const newer = new TextDecoder().decode(value).replace(/"version":\d+/, '"version":999')
    await local.put('controllers/self', new TextEncoder().encode(newer))

    await expect(openController({ stores: { local } })).rejects.toMatchObject({ code: 'ERR_STORE_VERSION' })
    expect(new TextDecoder().decode((await local.get('controllers/self')).value)).toBe(newer)
    expect(traces()).toEqual(folder.before)
    await local.close()
  })

  it('with a damaged database is refused and kept, while containers go on, and is restored from its snapshot', async () => {
    const first = await open()
    await using web = await openWeb(first)
    const { url } = web
    await first.close()
    const path = join(folder.places.stateDirectory, 'store')
    truncateSync(join(path, 'data.mdb'), 5000)

    await expect(open()).rejects.toMatchObject({ code: 'ERR_STORE_DAMAGED' })
    expect(await fetchFromHost(url)).toBe('hello')
    await restoreLmdbStore({ path })
    expect(readdirSync(path).filter((name) => name.startsWith('damaged-'))).toHaveLength(1)
    const again = await open()
    expect(again.sandboxes().map(({ containerId }) => containerId)).toEqual(['web'])
    expect(await fetchFromHost(url)).toBe('hello')
    await again.close()
  })

  it('is as good whatever the clock says', async () => {
    const first = await open()
    await first.createNetwork({ name: 'blue' })
    await attach(first, 'web')
    const clock = vi.spyOn(Date, 'now').mockReturnValue(0)
    try {
      await attach(first, 'early')
      await first.close()
      clock.mockReturnValue(1e14)
      const again = await open()
      await attach(again, 'late')
      expect(
        again
          .sandboxes()
          .map(({ containerId }) => containerId)
          .sort(),
      ).toEqual(['early', 'late', 'web'])
      await again.close()
    } finally {
      clock.mockRestore()
    }
  })
})

describeKernel('a record that names a path which is not ours', () => {
  it('is refused, and nothing is done there', async () => {
    const first = await open()
    const sandbox = await first.createSandbox({ containerId: 'web', dns: false })
    await first.close()
    const victim = join(folder.path, 'victim')
    mkdirSync(`${victim}.files`)
    const store = await openLmdbStore({ path: join(folder.places.stateDirectory, 'store') })
    const undo = await change(store, `sandboxes/${sandbox.id}`, { key: victim, phase: 'deleting' })

    await store.close()
    const again = await open()
    expect(again.sandboxes()).toEqual([])
    await again.close()
    expect(existsSync(`${victim}.files`)).toBe(true)

    const mended = await openLmdbStore({ path: join(folder.places.stateDirectory, 'store') })
    await mended.put(`sandboxes/${sandbox.id}`, undo)
    await mended.close()
    expect(sandbox.key.endsWith(shortId(sandbox.id))).toBe(true)
  })
})

/** Changes the record in a stored value; what it was. */
async function change(store: Store, key: string, members: Record<string, unknown>): Promise<Uint8Array> {
  const { value } = await store.get(key)
  const envelope = JSON.parse(new TextDecoder().decode(value)) as { value: { record: object } }
  Object.assign(envelope.value.record, members)
  await store.put(key, new TextEncoder().encode(JSON.stringify(envelope)))
  return value
}
