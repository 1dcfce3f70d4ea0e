import { setImmediate as nextTurn } from 'node:timers/promises'
import { DatagramSocket, inNamespaceAt } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { expect, it } from 'vitest'
import { FairSlots, NameTable, openResolver, SandboxNames, type UpstreamServer } from '../src/index.ts'
import { encodeQuestion } from './client.ts'
import { createTestSandbox } from './sandbox.ts'
import { addresses, startUpstream } from './upstream-server.ts'

await enterFreshHost()

const dns = { address: '127.0.0.11', port: 53 }

/** A sandbox that knows `web`, and an asker in it. */
async function place(
  slots = new FairSlots({ total: 1024, each: 256 }),
  servers: readonly UpstreamServer[] = [],
): Promise<
  AsyncDisposable & { answered(): number; upstream(): number; ask(name: string): void; hasAnswer(): boolean }
> {
  const sandbox = createTestSandbox()
  const table = new NameTable('blue')
  table.add({ id: 'web', name: 'web', addresses: ['10.0.0.2'] })
  const names = new SandboxNames()
  names.setNetworks([{ table }])
  const resolver = await openResolver({ namespace: sandbox.key, servers }, { sources: [names], slots })
  const asker = inNamespaceAt(sandbox.key, () => DatagramSocket.connect(dns))
  return {
    answered: () => resolver.statistics().questions,
    upstream: () => resolver.statistics().answers.NOERROR ?? 0,
    ask: (name) => {
      asker.send(encodeQuestion(name))
    },
    hasAnswer: () => asker.receive() !== undefined,
    [Symbol.asyncDispose]: async () => {
      asker.close()
      await resolver.close()
      sandbox[Symbol.dispose]()
    },
  }
}

describeKernel('a sandbox that asks without end', () => {
  it('does not keep another waiting until it has all its answers', async () => {
    await using flooding = await place()
    await using quiet = await place()
    // In ever new words: none of the answers is there already. As many as the kernel keeps for it.
    for (let at = 0; at < 1000; at++) flooding.ask(`name${at}.example`)
    quiet.ask('web')

    while (!quiet.hasAnswer()) await nextTurn()

    expect(flooding.answered()).toBeLessThan(1000)
  })

  it('does not keep the questions of another from the servers', async () => {
    await using upstream = await startUpstream((query) => addresses(query, ['192.0.2.1']))
    const slots = new FairSlots({ total: 256, each: 255 })
    const servers = [{ ...upstream.address, from: 'host' as const }]
    await using flooding = await place(slots, servers)
    await using quiet = await place(slots, servers)
    for (let at = 0; at < 600; at++) flooding.ask(`${at}.example`)
    quiet.ask('quiet.example')

    while (!quiet.hasAnswer()) await nextTurn()

    expect(flooding.upstream()).toBeLessThan(600)
    expect(upstream.heard).toContain('udp quiet.example A')
  })
})
