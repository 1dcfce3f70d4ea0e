import { openController } from '@net/libnetwork'
import { enterNewNamespace } from '@net/netlink-ffi'
import { mkdtempSync } from 'node:fs'
enterNewNamespace()
const folder = mkdtempSync('/tmp/p/')
const c = await openController({ runtimeDirectory: folder + '/run' })
const other = await c.createSandbox({ containerId: 'other' })
const pause = (ms) => new Promise((r) => setTimeout(r, ms))
const P = Number(process.argv[2]), N = Number(process.argv[3] ?? 100)
const t = { a: [], b: [] }
for (let i = 0; i < N; i++) for (const s of ['a', 'b']) {
  if (P) await pause(P)
  const t0 = performance.now()
  const x = await c.createSandbox({ containerId: s, dns: s === 'a' ? undefined : false })
  t[s].push(performance.now() - t0)
  await x.delete()
}
const med = (x) => x.sort((p, q) => p - q)[x.length >> 1]
console.log(P, 'with', med(t.a).toFixed(2), 'without', med(t.b).toFixed(2), (med(t.a) - med(t.b)).toFixed(2))
await other.delete(); await c.close()
