import { execFileSync } from 'node:child_process'
import { median, timed } from '../measure.ts'
import { cni } from './cni.ts'
import { netavark } from './netavark.ts'

const REPETITIONS = 7
const FIRST_PORT = 47_000

/**
 * What the peers need to put a namespace that is there already on an IPv4 network that is there already, the
 * start of their processes alone beside it.
 */
export async function measurePeers(withPort: boolean): Promise<Record<string, number>> {
  const results: Record<string, number> = {}
  for (const peer of [netavark(), cni()]) {
    const attaches: number[] = []
    const starts: number[] = []
    // The first makes the network, and is not counted.
    for (let number = 0; number <= REPETITIONS; number++) {
      const name = `netbench-${process.pid}-${peer.name}-${number}`
      execFileSync('ip', ['netns', 'add', name])
      const container = {
        path: `/run/netns/${name}`,
        number,
        hostPort: withPort ? FIRST_PORT + number : undefined,
      }
      try {
        const attach = await timed(() => {
          peer.attach(container)
        })
        if (number > 0) {
          attaches.push(attach)
          starts.push(
            await timed(() => {
              peer.startOnly(withPort)
            }),
          )
        }
        peer.detach(container)
      } finally {
        execFileSync('ip', ['netns', 'del', name])
      }
    }
    peer.close()
    results[peer.name] = median(attaches)
    results[`${peer.name}, process starts alone`] = median(starts)
  }
  return results
}
