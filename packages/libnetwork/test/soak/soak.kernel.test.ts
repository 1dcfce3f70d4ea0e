import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeKernel, enterFreshHost } from '@net/netlink-ffi/testing'
import { expect, it } from 'vitest'
import { openController, type Controller } from '../../src/index.ts'
import { hostView } from '../host-view.ts'
import { traces } from '../lab.ts'
import { wantedView } from './wanted-view.ts'
import { Workload } from './workload.ts'

await enterFreshHost()

/** `NET_SOAK=10000 npx vitest run --project kernel packages/libnetwork/test/soak` is the long run. */
const OPERATIONS = Number(process.env.NET_SOAK ?? 300)
const AT_ONCE = 8
/** Another run, another order. */
const SEED = Number(process.env.NET_SOAK_SEED ?? 1)
/** So many networks as the workload has, and more. */
const POOLS = [{ base: '10.0.0.0/8', size: 24 }]

describeKernel('a controller of many networks', () => {
  it(
    `leaves the kernel as it is to be after ${OPERATIONS} random operations, ${AT_ONCE} at a time`,
    { timeout: 60_000 + OPERATIONS * 100 },
    async () => {
      const before = traces()
      const folder = mkdtempSync(join(tmpdir(), 'soak-'))
      const places = { stateDirectory: join(folder, 'state'), runtimeDirectory: join(folder, 'run'), pools: POOLS }
      const first = await openController(places)
      const workload = new Workload(first, SEED)
      const begin = performance.now()

      await workload.run(OPERATIONS, AT_ONCE)

      tell(workload, performance.now() - begin)
      const run = join(folder, 'run', first.id)
      await settle(() => hostView(first.id, run), wantedView(workload))
      expect(await portsThatOthersGet(workload)).toEqual([])
      await first.close()
      const second = await openController({ ...places, onClose: 'delete' })
      await settle(() => hostView(first.id, run), wantedView(workload))
      await expectNothingLost(second)

      await second.close()

      expect(readdirSync(join(folder, 'run'))).toEqual([])
      await settle(() => hostView(first.id, join(folder, 'run')), [])
      expect(traces()).toEqual(before)
      rmSync(folder, { recursive: true })
    },
  )
})

/** The kernel takes interfaces down a little after their namespace is gone. */
async function settle(view: () => readonly string[], wanted: readonly string[]): Promise<void> {
  await expect.poll(view, { timeout: 20_000, interval: 500 }).toEqual(wanted)
}

/** The TCP ports that are published, of those that somebody else could have all the same. */
async function portsThatOthersGet({ containers }: Workload): Promise<number[]> {
  const places = [...containers].flatMap((container) => [...container.places])
  const ports = places.flatMap((place) => [...place.ports]).filter(({ protocol }) => protocol === 'tcp')
  const got: number[] = []
  for (const { hostPort } of ports) if (await isFree(hostPort)) got.push(hostPort)
  return got
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => {
      resolve(false)
    })
    server.listen(port, () => {
      server.close(() => {
        resolve(true)
      })
    })
  })
}

async function expectNothingLost(controller: Controller): Promise<void> {
  for await (const event of controller.events({ after: 0, signal: AbortSignal.timeout(10) })) {
    expect(event).toMatchObject({ kind: 'recovered' })
  }
}

function tell({ done, networks, containers }: Workload, tookMs: number): void {
  if (process.env.NET_SOAK === undefined) return
  const kinds = [...done].map(([kind, count]) => `${count} ${kind}`).join(', ')
  process.stdout.write(
    `${OPERATIONS} operations in ${(tookMs / 1000).toFixed(1)} s: ${kinds}; ` +
      `${networks.size} networks and ${containers.size} containers in the end\n`,
  )
}
