import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BoundFiles, FairSlots, UsualPorts } from '@net/resolver'
import { silentLogger } from '@net/types'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ResolverTotals } from '../metrics/resolver-totals.ts'
import { HostResolvConf } from './host-resolv-conf.ts'
import { SandboxNaming, type NamingView } from './sandbox-naming.ts'

let folder: string
let naming: SandboxNaming

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'naming-'))
  const key = join(folder, 'web')
  naming = new SandboxNaming(
    { key, folder: `${key}.files` },
    { hostname: 'web', extraHosts: [] },
    {
      host: new HostResolvConf(join(folder, 'resolv.conf')),
      bound: new BoundFiles(),
      slots: new FairSlots({ total: 1, each: 1 }),
      usualPorts: new UsualPorts(),
      resolver: {},
      past: new ResolverTotals(),
      logger: silentLogger,
    },
  )
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

function viewOf(...addresses: string[]): NamingView {
  return { networks: [], addresses, gateways: [] }
}

const ownLines = (): string[] =>
  readFileSync(naming.files().hosts, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('\tweb'))

describe('files that somebody asks for while an endpoint joins', () => {
  it.each([[[]], [['10.0.0.2']]])('say once where the sandbox is, after %j', async (before) => {
    await naming.update(viewOf(...before))

    const updating = naming.update(viewOf('10.0.0.3'))
    naming.files()
    await updating

    expect(ownLines()).toEqual(['10.0.0.3\tweb'])
  })

  it('are brought up to date where they were asked for before', async () => {
    naming.files()
    await naming.update(viewOf('10.0.0.2', '10.0.0.3'))
    await naming.update(viewOf('10.0.0.3', '10.0.0.4'))

    expect(ownLines()).toEqual(['10.0.0.3\tweb', '10.0.0.4\tweb'])
  })
})
