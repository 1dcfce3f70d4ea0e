import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { openController, type Controller, type ControllerOptions } from '@net/libnetwork'
import { deleteNamespace, RouteSocket } from '@net/netlink-ffi'
import { shortId } from '@net/types'
import { pause } from './measure.ts'

/** What is measured: a controller with one dual-stack network, and a bridge of the same shape for the floor. */
export interface Subject extends AsyncDisposable {
  readonly controller: Controller
  readonly networkId: string
  /** Name of the controller's nftables table. */
  readonly table: string
  readonly routes: RouteSocket
  readonly floorBridge: number
  /** Folder for namespaces of the floor. */
  readonly folder: string
  /** Resolves when the kernel has taken down all links but those of `expected`. */
  settle(): Promise<void>
}

/** How host ports are held. */
export type PortAllocatorOptions = NonNullable<ControllerOptions['ports']>

/** Opens the subject on the calling thread's network namespace. */
export async function openSubject(ports: PortAllocatorOptions = {}): Promise<Subject> {
  // In memory, as /run is: a disk's file system looks long for room where a thousand files were just deleted.
  const folder = mkdtempSync('/dev/shm/net-bench-')
  mkdirSync(join(folder, 'floor'))
  const controller = await openController({ runtimeDirectory: join(folder, 'run'), ports })
  const network = await controller.createNetwork({
    name: 'bench',
    ipv6: true,
    ipam: { pools: [{ pool: '10.90.0.0/16' }, { pool: 'fd90::/64' }] },
  })
  const routes = RouteSocket.open()
  const floorBridge = routes.createLink({ kind: 'bridge', name: 'br-floor', up: true }).index
  return {
    controller,
    networkId: network.id,
    table: `net_${shortId(controller.id)}`,
    routes,
    floorBridge,
    folder: join(folder, 'floor'),
    settle: () => settle(routes),
    [Symbol.asyncDispose]: async () => {
      await controller.close()
      await routes.deleteLinks(['br-floor'])
      routes.close()
      for (const name of readdirSync(join(folder, 'floor'))) deleteNamespace(join(folder, 'floor', name))
      rmSync(folder, { recursive: true })
    },
  }
}

/** The kernel reaps links of dropped namespaces in the background, holding locks that others wait for. */
async function settle(routes: RouteSocket): Promise<void> {
  let before = -1
  for (;;) {
    await pause(50)
    const now = routes.listLinks().length
    if (now === before) return
    before = now
  }
}
