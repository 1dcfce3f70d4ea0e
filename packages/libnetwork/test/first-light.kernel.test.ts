import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { afterEach, expect, it } from 'vitest'
import { describeKernel, enterFreshHost, ip, ipIn, nftRuleset } from '@net/netlink-ffi/testing'
import { openController, type Controller, type Sandbox } from '../src/index.ts'

await enterFreshHost()

let controller: Controller | undefined
const open = async (): Promise<Controller> => (controller = await openController())
afterEach(() => controller?.close())

const SERVER = `
  const server = require('http').createServer((request, response) => response.end('hello from inside'))
  server.listen(80, '::', () => console.log('ready'))
`

/** Starts an HTTP server in the sandbox and waits until it listens. */
async function serve(sandbox: Sandbox): Promise<{ stop(): Promise<void> }> {
  const child = sandbox.spawn(process.execPath, ['-e', SERVER], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout!, 'data')
  return {
    stop: async () => {
      child.kill()
      await once(child, 'exit')
    },
  }
}

/** Fetches `url` from inside the sandbox: the body, or the reason why not. */
async function fetchFrom(sandbox: Sandbox, url: string): Promise<string> {
  const script = `fetch('${url}', { signal: AbortSignal.timeout(700) })
    .then((response) => response.text()).then(console.log, (error) => console.log('failed: ' + (error.cause?.code ?? error.name)))`
  const child = sandbox.spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [body] = (await once(child.stdout!, 'data')) as [Buffer]
  await once(child, 'exit')
  return body.toString().trim()
}

describeKernel('two containers', () => {
  it('talk over both families, are reached through a published port, and leave nothing behind', async () => {
    const linksBefore = ip('link', 'show')
    const net = await open()
    const network = await net.createNetwork({ name: 'network1', ipv6: true })
    const other = await net.createNetwork({ name: 'network2', ipv6: true })
    const one = await net.attach({
      network,
      endpoint: { name: 'one', ports: [{ containerPort: 80 }] },
      sandbox: { containerId: 'one' },
    })
    const two = await net.attach({ network, endpoint: { name: 'two' }, sandbox: { containerId: 'two' } })
    const far = await net.attach({ network: 'network2', endpoint: { name: 'far' }, sandbox: { containerId: 'far' } })
    const server = await serve(one.sandbox)
    const v4 = one.endpoint.address!.split('/')[0]!
    const v6 = one.endpoint.address6!.split('/')[0]!
    const [{ hostPort }] = one.endpoint.ports() as [{ hostPort: number }]

    expect(await fetchFrom(two.sandbox, `http://${v4}/`)).toBe('hello from inside')
    expect(await fetchFrom(two.sandbox, `http://[${v6}]/`)).toBe('hello from inside')
    expect(await (await fetch(`http://127.0.0.1:${hostPort}/`)).text()).toBe('hello from inside')
    expect(await fetchFrom(far.sandbox, `http://${v4}/`)).toMatch(/^failed/)
    const host = network.ipv4!.gateway.split('/')[0]!
    expect(await fetchFrom(far.sandbox, `http://${host}:${hostPort}/`)).toBe('hello from inside')

    expect(ipIn(one.sandbox.key, 'addr', 'show', 'eth0')).toMatchObject([
      {
        address: one.endpoint.macAddress,
        addr_info: expect.arrayContaining([expect.objectContaining({ local: v4 })]) as unknown,
      },
    ])
    await server.stop()
    expect(other.endpoints()).toHaveLength(1)
    await net.close()
    expect(ip('link', 'show')).toEqual(linksBefore)
    expect(nftRuleset()).toMatchObject({ nftables: [{ metainfo: {} }] })
    expect(existsSync(`/run/net/${net.id}`)).toBe(false)
    if (existsSync('/run/net')) expect(readdirSync('/run/net')).not.toContain(net.id)
  })
})
