import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { describeKernel, enterFreshHost, ip, ipIn, nftRuleset } from '@net/netlink-ffi/testing'
import { runDemo } from '../src/demo.ts'
import type { Output } from '../src/report.ts'
import type { Place } from '../src/stage.ts'

await enterFreshHost()

const root = mkdtempSync(join(tmpdir(), 'net-demo-test-'))
afterAll(() => {
  rmSync(root, { recursive: true })
})

let place: Place
beforeEach(() => {
  const folder = mkdtempSync(join(root, 'run-'))
  place = { folder, runtimeDirectory: join(folder, 'net') }
})

/** Takes in everything, and calls back with each step as it is done. */
function listener(onStep: (name: string) => void = () => undefined): Output & { readonly text: string[] } {
  const text: string[] = []
  return {
    text,
    heading: () => undefined,
    step: ({ name }) => {
      onStep(name)
    },
    check: ({ name }) => {
      onStep(name)
    },
    lines: (lines) => text.push(...lines),
    notice: () => undefined,
    result: () => undefined,
  }
}

/** With another eye: what is there that should not be. */
function expectNothingLeft(): void {
  expect(ip('link', 'show')).toMatchObject([{ ifname: 'lo' }])
  expect(nftRuleset()).toMatchObject({ nftables: [{ metainfo: {} }] })
  expect(readdirSync(place.folder)).toEqual([])
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(place.folder)
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim()
  expect(children).toBe('')
  expect(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8')).toBe('0\n')
  expect(readFileSync('/proc/sys/net/ipv6/conf/all/forwarding', 'utf8')).toBe('0\n')
}

describeKernel('the demo', () => {
  it('holds in every check and leaves nothing behind', async () => {
    const output = listener()

    const result = await runDemo(place, { output, signal: new AbortController().signal })

    expect(result.checks.filter(({ ok }) => !ok)).toEqual([])
    expect(result.checks).toHaveLength(28)
    expect(result.timings.length).toBeGreaterThan(result.checks.length)
    expect(result.leftovers).toEqual([])
    expect(output.text[0]).toMatch(
      /^Joined endpoint Endpoint1 \((?:[0-9a-f]{2}:){5}[0-9a-f]{2}\) to sandbox container1 \(\/\S+\)$/,
    )
    expectNothingLeft()
  })

  it('draws what is there while everything stands', async () => {
    const output = listener()
    let links: unknown
    let inside: unknown

    const result = await runDemo(place, {
      output,
      signal: new AbortController().signal,
      linger: (key) => {
        links = ip('link', 'show')
        inside = ipIn(key, 'addr', 'show', 'eth0')
        return Promise.resolve()
      },
    })

    expect(result.checks.filter(({ ok }) => !ok)).toEqual([])
    const picture = output.text.join('\n')
    const names = (links as { ifname: string }[]).map(({ ifname }) => ifname).filter((name) => name !== 'lo')
    expect(names).toHaveLength(8)
    for (const name of names) expect(picture).toContain(` ${name} `)
    const [{ addr_info: addresses }] = inside as [{ addr_info: { local: string; scope: string; prefixlen: number }[] }]
    for (const { local, prefixlen } of addresses.filter(({ scope }) => scope === 'global')) {
      expect(picture).toContain(`${local}/${prefixlen}`)
    }
  })

  it('leaves nothing behind wherever it is interrupted', { timeout: 180_000 }, async () => {
    const steps: string[] = []
    await runDemo(place, {
      output: listener((name) => steps.push(name)),
      signal: new AbortController().signal,
    })
    const last = steps.indexOf('end the programs')
    expect(last).toBeGreaterThan(10)

    // One run for each step that makes something; checks of the same moment need no run of their own.
    for (const [at, step] of steps.slice(0, last).entries()) {
      if (/reach|fetches|hears|refused/.test(step) && at % 4 !== 0) continue
      const interruption = new AbortController()
      const result = await runDemo(place, {
        output: listener((name) => {
          if (name === step) interruption.abort(new Error('interrupted'))
        }),
        signal: interruption.signal,
      })

      expect({ step, leftovers: result.leftovers }).toEqual({ step, leftovers: [] })
      expect({ step, failed: result.checks.filter(({ ok }) => !ok) }).toEqual({ step, failed: [] })
      expectNothingLeft()
    }
  })

  it('says what is left behind', async () => {
    const strange = join(place.folder, 'strange')

    const result = await runDemo(place, {
      output: listener(),
      signal: new AbortController().signal,
      linger: () => {
        writeFileSync(strange, '')
        ip('link', 'add', 'strange', 'type', 'bridge')
        return Promise.resolve()
      },
    })

    expect(result.leftovers).toEqual([expect.stringMatching(/^link strange \(\d+\)$/), `file ${strange}`])
    ip('link', 'delete', 'strange')
  })

  it('turns a step that fails into a failed check, and tears down', async () => {
    mkdirSync(join(place.folder, 'outside')) // in the way of the outside machine's namespace

    const result = await runDemo(place, { output: listener(), signal: new AbortController().signal })

    expect(result.checks).toMatchObject([{ name: 'put a machine outside of the host', ok: false }])
    expect(result.leftovers).toEqual([])
    rmSync(join(place.folder, 'outside'), { recursive: true })
    expectNothingLeft()
  })
})
