import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'
import { describeKernel, enterFreshHost, ip, nftRuleset, ordinaryUser } from '@net/netlink-ffi/testing'
import type { Result } from '../src/report.ts'

// What the demo does with --host, it does to a host of this file's own.
await enterFreshHost()

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const user = ordinaryUser(fileURLToPath(new URL('../../..', import.meta.url)))
/** As it is shown to an ordinary user, who may be kept from our folders. */
const shownProgram = `${user.tree}/apps/demo/dist/main.js`

beforeAll(() => {
  if (!existsSync(program)) throw new Error(`${program} is missing: build first, with "npm run build"`)
})

interface Ended {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A running demo, with what it has written so far. */
class Run {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  readonly #news = new EventEmitter()
  #stdout = ''
  #stderr = ''

  constructor(command: string, args: readonly string[]) {
    const environment = { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR }
    // A process group of its own, as a shell gives one to each job: what Ctrl-C hits.
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment, detached: true })
    this.child.stdout?.on('data', (data: Buffer) => {
      this.#stdout += data.toString()
      this.#news.emit('written')
    })
    this.child.stderr?.on('data', (data: Buffer) => {
      this.#stderr += data.toString()
      this.#news.emit('written')
    })
    this.ended = once(this.child, 'close').then(([status]) => ({
      status: status as number | null,
      stdout: this.#stdout,
      stderr: this.#stderr,
    }))
  }

  pressControlC(): void {
    if (this.child.pid !== undefined) process.kill(-this.child.pid, 'SIGINT')
  }

  /** Resolves with what has been written to either stream once it contains `text`. */
  async says(text: string): Promise<string> {
    const written = (): string => this.#stdout + this.#stderr
    while (!written().includes(text)) {
      const end = this.ended.then(({ status }) => {
        throw new Error(`ended with ${status} before it said "${text}": ${written()}`)
      })
      await Promise.race([once(this.#news, 'written'), end])
    }
    return written()
  }
}

function run(...args: readonly string[]): Run {
  return new Run(process.execPath, [program, ...args])
}

function runAsNobody(...args: readonly string[]): Run {
  const [command, ...rest] = [...user.command, user.node, shownProgram, ...args] as const
  return new Run(command, rest)
}

/** Folders of demos that run, on this machine as a whole. */
const folders = (): string[] => readdirSync(tmpdir()).filter((name) => /^net-demo-.{6}$/.test(name))

/** The folder that a demo says its namespaces are in. */
function folderIn(text: string): string {
  return /\/net-demo-[^/]{6}(?=\/)/.exec(text)?.[0].slice(1) ?? ''
}

function expectNothingOnHost(): void {
  expect(ip('link', 'show')).toMatchObject([{ ifname: 'lo' }])
  expect(nftRuleset()).toMatchObject({ nftables: [{ metainfo: {} }] })
}

describeKernel('the demo as a program', () => {
  describe.each([
    ['as root', run],
    ['as an ordinary user', runAsNobody],
  ])('%s', (_, start) => {
    it('prints one JSON object in which everything holds', async () => {
      const { status, stdout, stderr } = await start('--json').ended

      const result = JSON.parse(stdout) as Result
      expect(Object.keys(result)).toEqual(['checks', 'timings', 'leftovers'])
      expect(result.checks.filter(({ ok }) => !ok)).toEqual([])
      expect(result.checks).toHaveLength(28)
      expect(result.leftovers).toEqual([])
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expectNothingOnHost()
    })

    it('tells a reader the same, without colours', async () => {
      const { status, stdout, stderr } = await start().ended

      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(stdout).toMatch(/^Joined endpoint Endpoint1 \(02(:[0-9a-f]{2}){5}\) to sandbox container1 \(\/.+\)$/m)
      expect(stdout).toContain('┌ network1 ')
      expect(stdout).toContain('28 of 28 checks hold; nothing is left behind.')
      expect(stdout).not.toContain('\u001b')
    })

    it.each([
      ['SIGINT', 130],
      ['SIGTERM', 143],
      ['SIGHUP', 129],
    ] as const)('tears down at %s, and exits with %i', async (signal, expected) => {
      const demo = start()
      const folder = folderIn(await demo.says('Joined endpoint'))
      expect(folders()).toContain(folder)

      demo.child.kill(signal)
      const { status, stdout } = await demo.ended

      expect(status).toBe(expected)
      expect(stdout).toContain('Interrupted. ')
      expect(stdout).toContain('nothing is left behind.')
      expect(folders()).not.toContain(folder)
    })

    it('waits with --keep, and tells commands that look inside as they stand', async () => {
      const demo = start('--keep', '--json')
      const text = await demo.says('Tear down with: ')
      const commands = text.split('\n').flatMap((line) => /^ {2}(nsenter .*)/.exec(line)?.[1] ?? [])
      const [shell, ...args] = [...(start === runAsNobody ? user.command : []), 'sh', '-c'] as const

      const [addresses, page] = commands.map((command) =>
        execFileSync(shell, [...args, command], { stdio: 'pipe' }).toString(),
      )
      demo.child.kill('SIGTERM')
      const { status, stdout } = await demo.ended

      expect(addresses).toContain('eth0')
      expect(page).toMatch(/^hello from container1 to /)
      expect((JSON.parse(stdout) as Result).leftovers).toEqual([])
      expect(status).toBe(0)
    })

    it('tears down when it is killed outright, since the program it started hears of that', async () => {
      const demo = start('--keep')
      const text = await demo.says('Tear down with: ')
      demo.child.kill('SIGKILL')
      // Its output is that program's too: it ends when both have ended.
      await demo.ended

      expect(folders()).not.toContain(folderIn(text))
    })
  })

  describe('with --host', () => {
    it('uses the network it is started in, and leaves it as it was', async () => {
      const demo = run('--host', '--keep', '--json')
      const text = await demo.says('Tear down with: ')
      const [addresses = '', page = ''] = text.split('\n').flatMap((line) => /^ {2}(\S.*)/.exec(line)?.[1] ?? [])

      expect(execFileSync('sh', ['-c', addresses]).toString()).toContain('eth0')
      expect(execFileSync('sh', ['-c', page], { stdio: 'pipe' }).toString()).toMatch(/^hello from container1 to /)
      expect(ip('link', 'show')).toHaveLength(9)
      demo.child.kill('SIGINT')
      const { status, stdout } = await demo.ended

      expect((JSON.parse(stdout) as Result).leftovers).toEqual([])
      expect(status).toBe(0)
      expectNothingOnHost()
      expect(readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8')).toBe('0\n')
    })

    it('tears down at Ctrl-C, which hits its programs too, and a second one does not hurry it', async () => {
      const demo = run('--host')
      await demo.says('Published ports')
      demo.pressControlC()
      await demo.says('Interrupted by SIGINT')
      demo.pressControlC()
      const { status, stdout } = await demo.ended

      expect(status).toBe(130)
      expect(stdout).toContain('nothing is left behind.')
      expectNothingOnHost()
    })

    it('is refused to ordinary users', async () => {
      const { status, stdout, stderr } = await runAsNobody('--host').ended

      expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
      expect(stderr).toContain('run it as root')
    })
  })

  it('ends with status 2 for an option it does not know', async () => {
    expect(await run('--nope').ended).toMatchObject({ status: 2, stdout: '' })
  })

  it('says what forbids user namespaces, and how to allow them', async () => {
    // A user namespace has limits of its own: this one may have none below it.
    const forbid = 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$0" "$@"'
    const inNamespace = ['unshare', '--user', '--map-current-user', '--keep-caps', 'sh', '-c', forbid]
    const [command, ...args] = [...user.command, ...inNamespace, user.node, shownProgram] as const

    const { status, stdout, stderr } = await new Run(command, args).ended

    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toContain('/proc/sys/user/max_user_namespaces is 0')
    expect(stderr).toContain('sysctl -w user.max_user_namespaces=')
  })

  it('says what to install where unshare is missing', async () => {
    const demo = new Run('env', ['PATH=/nonexistent', process.execPath, program])

    expect(await demo.ended).toMatchObject({
      status: 1,
      stderr: 'net-demo: the program "unshare" is missing: install util-linux\n',
    })
  })
})
