// A controller for tests: has a proxy process serve a forward, says its id, and lives until it is killed.
import { openProxyProcess } from '@net/portmapper'

const [folder, forward, lasting] = process.argv.slice(2)
const proxy = await openProxyProcess({ folder, outlives: lasting !== '--ends-with-client' })
await proxy.apply([JSON.parse(forward)])
console.log(proxy.pid)
process.stdin.resume()
