import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { BoundFiles, FairSlots, UsualPorts } from '@net/resolver'
import { silentLogger } from '@net/types'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ResolverTotals } from '../metrics/resolver-totals.ts'
import { HostResolvConf } from './host-resolv-conf.ts'
import { SandboxNaming, type NamingView } from './sandbox-naming.ts'

let folder: string
let naming: SandboxNaming
let host: HostResolvConf
/** Is waited for before a file is edited. */
let onEdit: () => Promise<void>

class InterruptedFiles extends BoundFiles {
  override async edit(...call: Parameters<BoundFiles['edit']>): Promise<void> {
    await onEdit()
    await super.edit(...call)
  }
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'naming-'))
  const key = join(folder, 'web')
  host = new HostResolvConf(join(folder, 'resolv.conf'), { pollMs: 1 })
  onEdit = () => Promise.resolve()
  naming = new SandboxNaming(
    { key, folder: `${key}.files` },
    { hostname: 'web', extraHosts: [] },
    {
      host,
      bound: new InterruptedFiles(),
      slots: new FairSlots({ total: 1, each: 1 }),
      usualPorts: new UsualPorts(),
      resolver: {},
      past: new ResolverTotals(),
      logger: silentLogger,
    },
  )
})
afterEach(async () => {
  await naming.close()
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

describe('files of a sandbox that is refreshed', () => {
  it("say what the host's resolv.conf says by then", async () => {
    writeFileSync(join(folder, 'resolv.conf'), 'nameserver 192.0.2.1\n')
    await naming.open()
    const { resolvConf } = naming.files()
    onEdit = async () => {
      writeFileSync(join(folder, 'resolv.conf'), 'nameserver 192.0.2.53\n')
      while (host.current.nameServers.join() !== '192.0.2.53') await setTimeout(1)
      // Whoever follows the host has all the time he needs.
      await setTimeout(20)
    }

    await naming.refresh({ hostname: 'web', extraHosts: [] }, { isThere: true })
    await naming.release()

    expect(readFileSync(resolvConf, 'utf8')).toContain('nameserver 192.0.2.53')
  })
})
