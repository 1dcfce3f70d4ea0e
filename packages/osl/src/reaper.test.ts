import { NetlinkError } from '@net/netlink-ffi'
import { silentLogger, type Logger } from '@net/types'
import { describe, expect, it, vi } from 'vitest'
import { Reaper, type ReaperSocket } from './reaper.ts'

const EBUSY = 16

/** A kernel whose links stay until they are deleted, and that refuses the first `refusals` times. */
class Kernel implements ReaperSocket {
  readonly links: Set<number>
  refusals: number

  constructor(links: readonly number[], refusals: number) {
    this.links = new Set(links)
    this.refusals = refusals
  }

  deleteLinks(indexes: readonly (number | string)[]): Promise<void> {
    if (this.refusals-- > 0) return Promise.reject(new NetlinkError('RTM_DELLINK 7', EBUSY))
    for (const index of indexes) this.links.delete(Number(index))
    return Promise.resolve()
  }

  filterAlive(indexes: readonly number[]): Promise<number[]> {
    return Promise.resolve(indexes.filter((index) => this.links.has(index)))
  }

  close(): void {
    this.refusals = 0
  }
}

/** A logger, and the links of the errors that it was told of. */
function recordingLogger(): { logger: Logger; reported: unknown[] } {
  const reported: unknown[] = []
  const error: Logger['error'] = (fields) => reported.push('links' in fields ? fields.links : fields)
  return { logger: { ...silentLogger, error }, reported }
}

describe('links that the kernel does not let go at once', () => {
  it('are tried again until they are gone', async () => {
    const kernel = new Kernel([7, 8], 3)
    const { logger, reported } = recordingLogger()
    const reaper = new Reaper(kernel, logger)

    reaper.take([7, 8])
    await reaper.settle()

    expect(kernel.links).toEqual(new Set())
    expect(reported).toEqual([])
    await reaper.close()
  })

  it('are reported when it refuses for long, and not forgotten', async () => {
    vi.useFakeTimers()
    try {
      const kernel = new Kernel([7], Infinity)
      const { logger, reported } = recordingLogger()
      const reaper = new Reaper(kernel, logger)

      reaper.take([7])
      const settled = expect(reaper.settle()).rejects.toMatchObject({ code: 'ERR_NETLINK', errno: EBUSY })
      await vi.runAllTimersAsync()
      await settled
      expect(reported).toEqual([[7]])

      kernel.refusals = 0
      const again = reaper.settle()
      await vi.runAllTimersAsync()
      await again
      expect(kernel.links).toEqual(new Set())
    } finally {
      vi.useRealTimers()
    }
  })
})
