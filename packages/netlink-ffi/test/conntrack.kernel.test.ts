import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { formatAddress, type AddressFamily } from '@net/types'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ConntrackSocket, type FlowFilter } from '../src/index.ts'
import { describeKernel, enterFreshHost } from '../src/testing/index.ts'

await enterFreshHost()

const UDP = 17
const loopback = { 4: '127.0.0.1', 6: '::1' } as const
let conntrack: ConntrackSocket

beforeEach(() => {
  conntrack = ConntrackSocket.open()
  return () => {
    conntrack.close()
  }
})
afterEach(() => {
  execFileSync('nft', ['flush', 'ruleset'])
})

/** Has the kernel track what the host sends: only where a rule asks for it does it. */
function track(): void {
  execFileSync('nft', ['add', 'table', 'inet', 'tracking'])
  execFileSync('nft', ['add', 'chain', 'inet', 'tracking', 'output', '{ type filter hook output priority 0; }'])
  execFileSync('nft', ['add', 'rule', 'inet', 'tracking', 'output', 'ct', 'state', 'new', 'counter'])
}

/** Begins flows to ports of the loopback address, and says which port they are from. */
async function send(family: AddressFamily, ports: readonly number[]): Promise<number> {
  const socket = createSocket(`udp${family}`)
  socket.bind({ port: 0, address: loopback[family] })
  await once(socket, 'listening')
  const { port } = socket.address()
  for (const to of ports)
    await new Promise((resolve) => {
      socket.send('', to, loopback[family], resolve)
    })
  socket.close()
  return port
}

const portsOf = async (family: AddressFamily, from: number): Promise<(number | undefined)[]> =>
  (await conntrack.list(family))
    .filter(({ original }) => original.sourcePort === from)
    .map(({ original }) => original.destinationPort)
    .sort()

describeKernel('flows', () => {
  it('are none where nothing asked for them', async () => {
    await send(4, [1001])

    expect(await conntrack.count()).toBe(0)
    expect(await conntrack.list(4)).toEqual([])
    await conntrack.deleteBy([{ family: 4, original: { source: '127.0.0.1' } }])
  })

  it.each([4, 6] as const)('are listed with both of their directions, over IPv%i', async (family) => {
    track()
    const from = await send(family, [1001])
    const address = loopback[family]

    expect((await conntrack.list(family)).find(({ original }) => original.sourcePort === from)).toMatchObject({
      family,
      original: { source: address, destination: address, protocol: UDP, sourcePort: from, destinationPort: 1001 },
      reply: { source: address, destination: address, protocol: UDP, sourcePort: 1001, destinationPort: from },
      zone: 0,
    })
  })

  it.each<[string, AddressFamily, Omit<FlowFilter, 'family'>, number[]]>([
    ['the port asked', 4, { original: { protocol: UDP, destinationPort: 1001 } }, [1002, 1003]],
    ['the port asked', 6, { original: { protocol: UDP, destinationPort: 1001 } }, [1002, 1003]],
    ['the port that answers', 4, { reply: { protocol: UDP, sourcePort: 1002 } }, [1001, 1003]],
    ['the address that answers', 4, { reply: { source: '127.0.0.1' } }, []],
    ['the address that answers', 6, { reply: { source: '::1' } }, []],
    ['the address that asks', 6, { original: { source: '::1' } }, []],
    [
      'address and port',
      4,
      { original: { destination: '127.0.0.1', protocol: UDP, destinationPort: 1003 } },
      [1001, 1002],
    ],
    ['address and port', 6, { original: { destination: '::1', protocol: UDP, destinationPort: 1003 } }, [1001, 1002]],
    ['another address', 4, { reply: { source: '127.0.0.2' } }, [1001, 1002, 1003]],
    // The kernel alone would delete all flows but those of this address.
    ['another address', 6, { reply: { source: 'fd00::2' } }, [1001, 1002, 1003]],
    ['a status they have', 4, { original: { protocol: UDP }, status: { mask: 16, value: 0 } }, []],
    ['a status they have', 6, { original: { source: '::1' }, status: { mask: 16, value: 0 } }, []],
    ['a status they lack', 4, { original: { protocol: UDP }, status: { mask: 16, value: 16 } }, [1001, 1002, 1003]],
    ...([4, 6] as const).flatMap((family): [string, AddressFamily, Omit<FlowFilter, 'family'>, number[]][] => {
      const destination = loopback[family]
      const ports = { first: 1002, last: 2000 }
      return [
        ['a range of ports', family, { original: { protocol: UDP }, destinationPorts: ports }, [1001]],
        [
          'a range and an address',
          family,
          { original: { protocol: UDP, destination }, destinationPorts: ports },
          [1001],
        ],
        ['a range of another', family, { reply: { protocol: 6 }, destinationPorts: ports }, [1001, 1002, 1003]],
        [
          'a range and a status',
          family,
          { original: { protocol: UDP }, status: { mask: 16, value: 16 }, destinationPorts: ports },
          [1001, 1002, 1003],
        ],
      ]
    }),
    ['another protocol', 4, { original: { protocol: 6, destinationPort: 1001 } }, [1001, 1002, 1003]],
    ['the other family', 6, { original: { protocol: UDP, destinationPort: 9 } }, [1001, 1002, 1003]],
  ])('are deleted by %s, over IPv%i', async (_, family, filter, left) => {
    track()
    const from = await send(family, [1001, 1002, 1003])

    await conntrack.deleteBy([{ family, ...filter }])

    expect(await portsOf(family, from)).toEqual(left)
  })

  it('are deleted by as many filters as wanted, in one list', async () => {
    track()
    const from = await send(4, [1001, 1002, 1003])
    const sources = Array.from({ length: 5000 }, (_, at) =>
      formatAddress({ family: 4, value: 0x0a000000n + BigInt(at) }),
    )
    const others = sources.map((source) => ({ family: 4, reply: { source } }) as const)

    await conntrack.deleteBy([...others, { family: 4, original: { protocol: UDP, destinationPort: 1002 } }])

    expect(await portsOf(4, from)).toEqual([1001, 1003])
  })

  it('cannot be asked for once the socket is closed', async () => {
    conntrack.close()
    conntrack.close()

    await expect(conntrack.count()).rejects.toMatchObject({ code: 'ERR_CLOSED' })
  })
})
