import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultIpam, remoteIpam, serveIpam } from '@net/ipam'

// A program that gives addresses. For Docker, its socket would be /run/docker/plugins/addresses.sock.
const folder = await mkdtemp(join(tmpdir(), 'plugins-'))
const plugin = await serveIpam(defaultIpam(), { path: join(folder, 'addresses.sock') })

// One that asks it for some; it may be another process.
const ipam = await remoteIpam({ name: 'addresses', socketFolders: [folder] })
const { id, pool } = await ipam.requestPool({ addressSpace: ipam.addressSpaces.local })
console.log(pool) // 172.17.0.0/16
console.log((await ipam.requestAddress(id)).address) // 172.17.0.1/16

await plugin.close()
await rm(folder, { recursive: true })
