import { execFileSync } from 'node:child_process'
import { describeKernel, enterFreshHost, ip } from '@net/netlink-ffi/testing'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openController, type Controller } from '../src/index.ts'
import { StateFolder } from './lab.ts'

await enterFreshHost()

/** A line as pino writes it. */
interface Line {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

const [INFO, WARN] = [30, 40] as const

let folder: StateFolder
let lines: Line[]
let net: Controller

beforeEach(async () => {
  folder = new StateFolder('logger')
  lines = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line) as Line) })
  // A folder: it is there, and cannot be read.
  const dns = { resolvConf: folder.path }
  net = await openController({ ...folder.places, dns, logger })
})
afterEach(async () => {
  await net.close()
  await folder.expectNothingLeft()
})

describeKernel('a pino logger', () => {
  it('is told in fields what is done', async () => {
    const network = await net.createNetwork({ name: 'blue' })

    expect(lines).toContainEqual(
      expect.objectContaining({ level: INFO, msg: 'network created', networkId: network.id, name: 'blue' }),
    )
  })

  it('is told of errors with their message, code and stack', async () => {
    await net.attach({
      network: await net.createNetwork({ name: 'blue' }),
      endpoint: { name: 'web' },
      sandbox: { containerId: 'web' },
    })

    const [line] = lines.filter(({ msg }) => msg === 'resolv.conf of the host cannot be read')
    expect(line).toMatchObject({
      level: WARN,
      err: { type: 'Error', code: 'EISDIR', stack: expect.stringContaining('EISDIR: illegal') as string },
    })
  })

  it('is told what somebody else did to a link', async () => {
    await net.createNetwork({ name: 'blue' })
    const bridges = ip('link', 'show', 'type', 'bridge') as { ifname: string; ifalias: string }[]
    const { ifname = '' } = bridges.find(({ ifalias }) => ifalias === `net:${net.id}`) ?? {}

    execFileSync('ip', ['link', 'set', ifname, 'down'])

    await expect
      .poll(() => lines)
      .toContainEqual(expect.objectContaining({ level: WARN, what: 'bridge-down', outcome: 'repaired' }))
  })
})
