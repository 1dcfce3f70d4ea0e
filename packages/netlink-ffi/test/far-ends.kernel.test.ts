import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeEach, expect, it } from 'vitest'
import {
  createLink,
  createNamespace,
  deleteNamespace,
  inNamespaceAt,
  RouteSocket,
  setLink,
  watchFarEnds,
  type FarEndEvent,
} from '../src/index.ts'
import { libc } from '../src/libc.ts'
import { datagramCalls } from '../src/sockets/native.ts'
import { describeKernel, enterFreshHost, SystemCallFaults } from '../src/testing/index.ts'

await enterFreshHost()

const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_DELADDR = 21
const RTNLGRP_LINK = 1

const folder = mkdtempSync(join(tmpdir(), 'far-ends-'))
const paths = [join(folder, 'one'), join(folder, 'two')] as const
const events: FarEndEvent[] = []
let watch: ReturnType<typeof watchFarEnds>

function makeLinks(): void {
  using routes = RouteSocket.open()
  for (const [at, path] of paths.entries()) {
    createNamespace(path, () => undefined)
    const namespaceFd = openSync(path, 'r')
    routes.apply(createLink({ kind: 'veth', name: `near${at}`, peer: { name: 'eth0', namespaceFd } }))
    closeSync(namespaceFd)
  }
}

beforeEach(() => {
  makeLinks()
  events.length = 0
  watch = watchFarEnds((event) => events.push(event))
  return async () => {
    watch.close()
    using routes = RouteSocket.open()
    await routes.deleteLinks(['near0', 'near1'])
    for (const path of paths) deleteNamespace(path)
  }
})
afterAll(() => {
  rmSync(folder, { recursive: true })
})

/** One message with its header, which may lie about its length. */
function message(type: number, body: readonly number[], length = 16 + body.length): number[] {
  return [...new Uint8Array(Uint32Array.of(length, type, 0, 0).buffer), ...body]
}

/** Sends what a program may: anything, to a multicast group of the namespace at `path`. */
function speak(path: string, datagrams: readonly (readonly number[])[]): void {
  inNamespaceAt(path, () => {
    const fd = libc().socket(16, 3, 0) // AF_NETLINK, SOCK_RAW, NETLINK_ROUTE
    const group = new Uint8Array(Uint32Array.of(16, 0, 1 << (RTNLGRP_LINK - 1)).buffer)
    for (const bytes of datagrams) datagramCalls().sendto(fd, Uint8Array.from(bytes), 0, group)
    closeSync(fd)
  })
}

/** The next that is heard of the second namespace, where a link goes down. */
async function nextOfOther(): Promise<void> {
  events.length = 0
  execFileSync('nsenter', [`--net=${paths[1]}`, 'ip', 'link', 'set', 'eth0', 'up'])
  execFileSync('nsenter', [`--net=${paths[1]}`, 'ip', 'link', 'set', 'eth0', 'down'])
  await expect.poll(() => events).toContainEqual(expect.objectContaining({ kind: 'link', name: 'eth0', up: false }))
}

describeKernel('watching far ends', () => {
  it.each([
    ['nothing but a header', message(RTM_NEWLINK, [])],
    ['a link without its name', message(RTM_NEWLINK, new Array<number>(16).fill(0))],
    ['a link cut short', message(RTM_DELLINK, new Array<number>(12).fill(0))],
    [
      'an attribute that is longer than its message',
      message(RTM_NEWLINK, [...new Array<number>(16).fill(0), 255, 255, 3, 0]),
    ],
    ['an address of no length', message(RTM_DELADDR, [2, 24, 0, 0, 1, 0, 0, 0, 4, 0, 2, 0])],
    ['a length that is not true', message(RTM_NEWLINK, [], 4)],
    ['a length beyond the datagram', message(RTM_NEWLINK, [], 4_000)],
    ['half a header', [16, 0, 0, 0]],
    ['more than there is room for', message(RTM_NEWLINK, new Array<number>(100_000).fill(1))],
    [
      'a link that went, as the kernel would say it',
      message(RTM_DELLINK, [0, 0, 0, 0, 2, ...new Array<number>(11).fill(0), 8, 0, 5, 0, 2, 0, 0, 0]),
    ],
  ])('passes over what a program says in a sandbox: %s', async (_, datagram) => {
    speak(paths[0], [datagram])

    await nextOfOther()
    expect(events.filter((event) => event.kind !== 'link' || event.name !== 'eth0')).toEqual([])
  })

  it('is not even woken by what joining does: new links, their addresses and their bridges', async () => {
    using routes = RouteSocket.open()
    using calls = new SystemCallFaults()

    const bridge = routes.createLink({ kind: 'bridge', name: 'br', up: true })
    execFileSync('nsenter', [`--net=${paths[1]}`, 'ip', 'addr', 'add', '10.9.0.2/24', 'dev', 'eth0'])
    execFileSync('nsenter', [`--net=${paths[1]}`, 'ip', 'link', 'add', 'own', 'type', 'bridge'])
    calls.failAt(Infinity)
    await sleep(100)

    expect(calls.count).toBe(0)
    // A port that leaves its bridge is gone as a port alone.
    routes.apply(setLink('near0', { master: bridge.index }), setLink('near0', { master: 0 }))
    execFileSync('nsenter', [`--net=${paths[1]}`, 'ip', 'addr', 'del', '10.9.0.2/24', 'dev', 'eth0'])
    await expect.poll(() => events).toContainEqual({ kind: 'address-removed', address: '10.9.0.2/24' })
    expect(events.filter(({ kind }) => kind === 'link')).not.toContainEqual(expect.objectContaining({ name: 'eth0' }))
    await routes.deleteLinks(['br'])
  })

  it('passes over anything that a program says in a sandbox', async () => {
    const bytes = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 80 })
    const type = fc.constantFrom(RTM_NEWLINK, RTM_DELLINK, RTM_DELADDR)
    const garbage = fc.oneof(
      bytes,
      fc.tuple(type, bytes).map(([number, body]) => message(number, body)),
    )

    speak(paths[0], fc.sample(garbage, 500))

    await nextOfOther()
    expect(events.filter((event) => event.kind !== 'link' || event.name !== 'eth0')).toEqual([])
  })
})
