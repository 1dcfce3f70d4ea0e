import type { SctpListener } from '@net/netlink-ffi'
import type { Logger } from '@net/types'
import type { ServedPort, ServingDeps, Target } from './served-port.ts'
import { relaySctp, type SctpRelay } from './sctp-relay.ts'

/** Without descriptors, whoever comes waits so long. */
const PAUSE_MS = 100

/** Serves a listening socket until closed: every association is one to `target`. Takes over it. */
export function serveSctpPort(
  listener: SctpListener,
  target: Target,
  { logger }: Pick<ServingDeps, 'logger'>,
): ServedPort {
  const relays = new Set<SctpRelay>()
  const { port } = listener.localAddress
  let pause: NodeJS.Timeout | undefined
  listener.watch(() => {
    try {
      acceptAll(listener, target, relays, logger)
    } catch (error) {
      logger.error({ err: error, port }, 'accepting an association failed')
      listener.pause()
      pause = setTimeout(() => {
        listener.resume()
      }, PAUSE_MS)
    }
  })
  return {
    port,
    close: () => {
      clearTimeout(pause)
      listener.close()
      for (const relay of relays) relay.breakOff()
      return Promise.resolve()
    },
  }
}

/** @throws SystemCallError (`ERR_SYSTEM_CALL`): EMFILE, ENOBUFS */
function acceptAll(listener: SctpListener, target: Target, relays: Set<SctpRelay>, logger: Logger): void {
  for (let client = listener.accept(); client !== undefined; client = listener.accept()) {
    try {
      const relay = relaySctp(client, target, (error) => {
        relays.delete(relay)
        if (error !== undefined) logger.debug({ err: error }, 'an association broke off')
      })
      relays.add(relay)
    } catch (error) {
      // No way to the container, or the client has gone already: others may fare better.
      logger.debug({ err: error }, 'an association broke off')
    }
  }
}
