import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { ipIn } from '@net/netlink-ffi/testing'

/** A network namespace that somebody else made, as a runtime has it: it lives as long as a process of its own. */
export class ExternalNamespace {
  readonly #process: ChildProcess

  private constructor(process: ChildProcess) {
    this.#process = process
  }

  static async open(): Promise<ExternalNamespace> {
    // Its input ends with us, whatever becomes of us.
    const child = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat > /dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    return new ExternalNamespace(child)
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  get path(): string {
    return `/proc/${this.pid}/ns/net`
  }

  get isAlive(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null
  }

  /** Whether this is the namespace at `path`. */
  isAt(path: string): boolean {
    const found = statSync(path, { throwIfNoEntry: false })
    const own = statSync(this.path)
    return found?.ino === own.ino && found.dev === own.dev
  }

  /** Names of its links, but for the loopback interface. */
  links(): string[] {
    return (ipIn(this.path, 'link', 'show') as { ifname: string }[])
      .map(({ ifname }) => ifname)
      .filter((name) => name !== 'lo')
  }

  /** Its packet rules, as `nft` tells. */
  rules(): string {
    return execFileSync('nsenter', [`--net=${this.path}`, 'nft', 'list', 'ruleset'], { encoding: 'utf8' })
  }

  /** Runs a program in it. */
  run(command: string, ...args: readonly string[]): void {
    execFileSync('nsenter', [`--net=${this.path}`, command, ...args])
  }

  async close(): Promise<void> {
    this.#process.kill('SIGKILL')
    await once(this.#process, 'exit')
  }
}
