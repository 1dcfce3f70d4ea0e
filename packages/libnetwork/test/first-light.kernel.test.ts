import { describeKernel, enterFreshHost, ipIn } from '@net/netlink-ffi/testing'
import { expect, it } from 'vitest'
import { openController } from '../src/index.ts'
import { expectNothingLeft, fetchFrom, fetchFromHost, plain, serve, traces } from './lab.ts'

await enterFreshHost()

/** How long a packet that is dropped is waited for. */
const BLOCKED_MS = 500

describeKernel('two containers', () => {
  it(
    'talk over both families, publish a port, are kept from others, and leave nothing',
    { timeout: 60_000 },
    async () => {
      const before = traces()
      const net = await openController()
      const network = await net.createNetwork({ name: 'network1', ipv6: true })
      await net.createNetwork({ name: 'network2', ipv6: true })
      await net.createNetwork({ name: 'cut-off', ipv6: true, internal: true })
      const one = await net.attach({
        network,
        endpoint: { name: 'one', ports: [{ containerPort: 80 }] },
        sandbox: { containerId: 'one' },
      })
      const two = await net.attach({ network, endpoint: { name: 'two' }, sandbox: { containerId: 'two' } })
      const far = await net.attach({ network: 'network2', endpoint: { name: 'far' }, sandbox: { containerId: 'far' } })
      const inner = await net.attach({ network: 'cut-off', endpoint: { name: 'in' }, sandbox: { containerId: 'in' } })
      const address = plain(one.endpoint.address)
      const address6 = plain(one.endpoint.address6)
      const host = plain(network.ipv4?.gateway)
      const host6 = plain(network.ipv6?.gateway)
      const hostPort = one.endpoint.ports()[0]?.hostPort ?? 0
      {
        await using _server = await serve(one.sandbox, 'hello')

        // The neighbour by address; everybody by the published port; nobody else by address.
        expect(await fetchFrom(two.sandbox, `http://${address}/`)).toBe('hello')
        expect(await fetchFrom(two.sandbox, `http://[${address6}]/`)).toBe('hello')
        expect(await fetchFromHost(`http://127.0.0.1:${hostPort}/`)).toBe('hello')
        expect(await fetchFromHost(`http://[${host6}]:${hostPort}/`)).toBe('hello')
        expect(await fetchFrom(far.sandbox, `http://${host}:${hostPort}/`)).toBe('hello')
        expect(await fetchFrom(two.sandbox, `http://${host}:${hostPort}/`)).toBe('hello')
        const blocked = await Promise.all([
          fetchFrom(far.sandbox, `http://${address}/`, BLOCKED_MS),
          fetchFrom(far.sandbox, `http://[${address6}]/`, BLOCKED_MS),
          fetchFrom(inner.sandbox, `http://${address}/`, BLOCKED_MS),
          fetchFrom(inner.sandbox, `http://${host}:${hostPort}/`, BLOCKED_MS),
        ])
        for (const answer of blocked) expect(answer).toMatch(/^failed/)

        // Taking the port back ends it; the neighbour goes on.
        await one.endpoint.unpublish([{ containerPort: 80 }])
        await expect(fetchFromHost(`http://127.0.0.1:${hostPort}/`)).rejects.toThrow(/ECONNREFUSED/)
        expect(await fetchFrom(two.sandbox, `http://${address}/`)).toBe('hello')
      }
      expect(ipIn(one.sandbox.key, 'addr', 'show', 'eth0')).toMatchObject([
        {
          address: one.endpoint.macAddress,
          addr_info: expect.arrayContaining([
            expect.objectContaining({ local: address }),
            expect.objectContaining({ local: address6 }),
          ]) as unknown,
        },
      ])

      await expectNothingLeft(net, before)
    },
  )
})
