import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { once } from 'node:events'
import { describeKernel } from '@net/netlink-ffi/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { examples, unkeptPromises } from './examples.ts'
import { packAll, place, type Packed } from './packed.ts'
import { read } from './workspace.ts'

/** Runs an example on a host of its own, with a /run of its own, and tells on descriptor 3 what it left there. */
const ON_FRESH_HOST = [
  'mount -t tmpfs tmpfs /run && ip link set lo up || exit 99',
  '"$1" "$2"; status=$?',
  '{ ip -o link; nft list ruleset; ls /run; } >&3; exit $status',
].join('\n')

interface Run {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  readonly left: string
}

async function runOnFreshHost(file: string, cwd: string): Promise<Run> {
  const args = ['--net', '--mount', 'sh', '-c', ON_FRESH_HOST, 'sh', process.execPath, file]
  const child = spawn('unshare', args, {
    cwd,
    env: { PATH: process.env.PATH },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const [, stdout, stderr, left] = child.stdio
  const output = Promise.all([stdout, stderr, left].map((stream) => text(stream as NodeJS.ReadableStream)))
  const [status] = (await once(child, 'exit')) as [number]
  const [out = '', errors = '', remains = ''] = await output
  return { status, stdout: out, stderr: errors, left: remains }
}

describeKernel('an example, pasted into an empty project with the package installed', () => {
  let packed: Packed
  beforeAll(async () => {
    packed = await packAll()
  })
  // Packing may have failed, and then there is nothing to remove.
  afterAll(() => (packed as Packed | undefined)?.[Symbol.dispose]())

  it.each(examples('kernel'))('%s runs, prints what it says, leaves nothing', async (_title, { entry, path }) => {
    const { file, cwd } = place(entry, path, await packed.install(entry))

    const { status, stdout, stderr, left } = await runOnFreshHost(file, cwd)

    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout.trim()).not.toBe('')
    expect(unkeptPromises(read(entry.folder, path), stdout)).toEqual([])
    expect(left.trim().split('\n')).toEqual([expect.stringMatching(/^1: lo:/)])
  })
})
