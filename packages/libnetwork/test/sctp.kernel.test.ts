import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { inNamespaceAt } from '@net/netlink-ffi'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Attachment, type Controller, type Network } from '../src/index.ts'

await enterFreshHost()

/** Python has raw sockets, and most kernels translate SCTP without speaking it. */
const PEER = fileURLToPath(new URL('sctp-peer.py', import.meta.url))
const hasPython = spawnSync('python3', ['--version'], { stdio: 'ignore' }).status === 0

/** The host's address on the network of the one who asks. */
const host = { 4: '10.9.0.1', 6: 'fd09::1' } as const

let net: Controller
let web: Attachment
let other: Attachment
let children: ChildProcess[]
beforeEach(async () => {
  net = await openController()
  web = await attach('web', '8')
  other = await attach('other', '9')
  children = await Promise.all(([4, 6] as const).map(answer))
})
afterEach(async () => {
  for (const child of children) {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  await net.close()
})

async function attach(name: string, digit: string): Promise<Attachment> {
  const pools = [{ pool: `10.${digit}.0.0/24` }, { pool: `fd0${digit}::/64` }]
  const network: Network = await net.createNetwork({ name: `network of ${name}`, ipam: { pools } })
  return net.attach({ network, endpoint: { name }, sandbox: { containerId: name } })
}

/** Has the container answer, on the ports that are published below. */
async function answer(family: 4 | 6): Promise<ChildProcess> {
  const ports = ['5000', '7000', '7009', '9100', '9109']
  const child = inNamespaceAt(web.sandbox.key, () =>
    spawn('python3', [PEER, 'answer', String(family), ...ports], { stdio: ['ignore', 'pipe', 'inherit'] }),
  )
  await once(child.stdout, 'data')
  return child
}

/** From where an INIT to that port of the host is acknowledged. */
async function ask(family: 4 | 6, port: number): Promise<string> {
  const child = inNamespaceAt(other.sandbox.key, () =>
    spawn('python3', [PEER, 'ask', host[family], String(port)], { stdio: ['ignore', 'pipe', 'inherit'] }),
  )
  return (await text(child.stdout)).trim()
}

describeKernel(hasPython ? 'SCTP' : 'SCTP (skipped: needs python3)', () => {
  it.skipIf(!hasPython).each([4, 6] as const)(
    'reaches published ports, and their answers come back, over IPv%i',
    async (family) => {
      await web.endpoint.publish([
        { protocol: 'sctp', containerPort: 5000, hostPort: 36_412 },
        { protocol: 'sctp', containerPort: 7000, containerPortEnd: 7009, hostPort: 7000 },
        { protocol: 'sctp', containerPort: 9100, containerPortEnd: 9109, hostPort: 8000 },
        { protocol: 'tcp', containerPort: 5000, hostPort: 36_413 },
      ])
      const ports = [36_412, 7000, 7009, 8000, 8009, 36_413, 5000]

      const answers = []
      for (const port of ports) answers.push(await ask(family, port))

      // Both packets had a right checksum at either end: it is over the ports, and was made anew.
      const answered = [36_412, 7000, 7009, 8000, 8009].map((port) => `${host[family]} ${port}`)
      expect(answers).toEqual([...answered, 'no answer', 'no answer'])
    },
  )

  it.skipIf(!hasPython)('does no more once they are taken back', async () => {
    const port = { protocol: 'sctp', containerPort: 5000, hostPort: 36_412 } as const
    await web.endpoint.publish([port])
    await web.endpoint.unpublish([port])

    expect(await ask(4, 36_412)).toBe('no answer')
  })
})
