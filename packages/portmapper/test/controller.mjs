// A controller for tests: has a proxy process serve a forward, says its id, and lives until it is killed; or, with
// `--leaves`, kills the process itself, which it could start again, and has nothing more to do.
import { openProxyProcess } from '@net/portmapper'

const [folder, forward, flag] = process.argv.slice(2)
const proxy = await openProxyProcess({ folder, outlives: flag !== '--ends-with-client', restartDelaysMs: [60_000] })
await proxy.apply([JSON.parse(forward)])
console.log(proxy.pid)
if (flag === '--leaves') process.kill(proxy.pid, 'SIGKILL')
else process.stdin.resume()
