import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { formatHostRecords, removeHostRecords, type BoundFiles, type HostRecord } from '@net/resolver'
import { isNetError, Mutex, randomId, shortId } from '@net/types'

/** Paths of files that a runtime mounts into its container, as `/etc/hosts`, `/etc/resolv.conf` and `/etc/hostname`. */
export interface FilePaths {
  readonly hosts: string
  readonly resolvConf: string
  readonly hostname: string
}

/** What the files of a sandbox say when they are made. */
export interface FileTexts {
  readonly hosts: string
  readonly resolvConf: string
  readonly hostname: string
}

/** Whether programs of a sandbox can have `::1`. */
export interface Ipv6Loopback {
  readonly hasIpv6: boolean
}

const MODE = 0o644

/** What is left of a file that was to be put in the place of another when the process died. */
const UNFINISHED = /\.[0-9a-f]{12}$/
/** Is there from the first file that is written anew until it is recorded what they are to say. */
const REWRITING = 'rewriting'

/**
 * The files of a sandbox. They are made when somebody asks for them: a sandbox that nobody looks into needs none. From
 * then on they are changed in place, and what others wrote into them is kept.
 */
export class SandboxFiles {
  readonly paths: FilePaths
  readonly #folder: string
  readonly #bound: BoundFiles
  /** Held from when it is known what they are to say until they do: what is known later is written later. */
  readonly #writing = new Mutex()
  #made = false

  constructor(folder: string, bound: BoundFiles) {
    this.#folder = folder
    this.#bound = bound
    this.paths = {
      hosts: join(folder, 'hosts'),
      resolvConf: join(folder, 'resolv.conf'),
      hostname: join(folder, 'hostname'),
    }
  }

  /** Whether somebody has asked for them. */
  get areMade(): boolean {
    return this.#made
  }

  get #hashPath(): string {
    return `${this.paths.resolvConf}.hash`
  }

  /** Writes them, unless they are there; whole or not at all. */
  make(texts: () => FileTexts): void {
    if (this.#made) return
    const { hosts, resolvConf, hostname } = texts()
    // Named like that of a sandbox which no record has: should the process die, it goes when the controller is opened.
    const unfinished = join(dirname(this.#folder), `${shortId(randomId())}.files`)
    try {
      mkdirSync(unfinished, { recursive: true, mode: 0o755 })
      writeFileSync(join(unfinished, 'hosts'), hosts, { mode: MODE })
      writeFileSync(join(unfinished, 'hostname'), hostname, { mode: MODE })
      writeFileSync(join(unfinished, 'resolv.conf'), resolvConf, { mode: MODE })
      const hash = `sha256:${createHash('sha256').update(resolvConf).digest('hex')}`
      writeFileSync(join(unfinished, 'resolv.conf.hash'), hash, { mode: MODE })
      renameSync(unfinished, this.#folder)
    } catch (error) {
      for (const folder of [unfinished, this.#folder]) rmSync(folder, { recursive: true, force: true })
      throw error
    }
    this.#made = true
  }

  get #rewritingPath(): string {
    return join(this.#folder, REWRITING)
  }

  /**
   * Writes them anew, in place, where they are there; what others wrote into them is gone. Should the process die before
   * {@link SandboxFiles.recorded}, whoever adopts them writes them anew as well, to say what is recorded then.
   */
  async rewrite(texts: () => FileTexts): Promise<void> {
    if (!this.#made) return
    using _lock = await this.#writing.lock()
    const { hosts, resolvConf, hostname } = texts()
    await unlessRemoved(() => writeFile(this.#rewritingPath, ''))
    await unlessRemoved(() => this.#bound.edit(this.paths.hosts, () => hosts))
    await unlessRemoved(() => this.#bound.edit(this.paths.hostname, () => hostname))
    await unlessRemoved(() => this.#bound.write(this.paths.resolvConf, resolvConf, { hashPath: this.#hashPath }))
  }

  /** What they were written anew to say is recorded. */
  async recorded(): Promise<void> {
    await rm(this.#rewritingPath, { force: true })
  }

  /**
   * Takes over what an earlier process made, if it did: the hosts file comes to say of the names what `records` say, and
   * nothing else of them. What is missing or empty becomes what it is when it is made, and so does a hosts file that says
   * of nothing else, and resolv.conf, unless somebody else changed it.
   *
   * @param texts - what they say where programs can have `::1`, or cannot; asked without that, as it is in the sandbox
   */
  async adopt(
    names: string,
    records: readonly HostRecord[],
    texts: (where?: Ipv6Loopback) => FileTexts,
  ): Promise<void> {
    const found = namesIn(this.#folder)
    if (found === undefined) return
    this.#made = true
    // Which of the two it is takes a visit to the sandbox, and was known to whoever made them.
    if ([true, false].some((hasIpv6) => this.#areAsMade(found, texts({ hasIpv6 })))) return
    for (const name of found) if (UNFINISHED.test(name)) await rm(join(this.#folder, name))
    if (found.includes(REWRITING)) {
      await this.rewrite(texts)
      await this.recorded()
    }
    const { hosts, hostname, resolvConf } = texts()
    await this.#bringBack(this.paths.hosts, hosts)
    await this.#bringBack(this.paths.hostname, hostname)
    await this.#bringBack(this.paths.resolvConf, resolvConf, this.#hashPath)
    const wanted = formatHostRecords(records)
      .split('\n')
      .filter((line) => line !== '')
    await this.#bound.edit(this.paths.hosts, (text) => {
      const lines = text.split('\n').filter((line) => line !== '')
      const isWanted = (line: string, at: number): boolean => wanted.includes(line) && lines.indexOf(line) === at
      const kept = lines.filter((line, at) => !line.endsWith(`\t${names}`) || isWanted(line, at))
      if (kept.every((line) => wanted.includes(line))) return hosts
      return [...kept, ...wanted.filter((line) => !kept.includes(line))].map((line) => `${line}\n`).join('')
    })
    await this.changeResolvConf(() => texts().resolvConf)
  }

  /** Whether they say what they say when they are made, and nothing was being done to them. */
  #areAsMade(found: readonly string[], { hosts, hostname, resolvConf }: FileTexts): boolean {
    const isLeft = (name: string): boolean => UNFINISHED.test(name) || name === REWRITING
    return (
      !found.some(isLeft) &&
      this.#bound.says(this.paths.hosts, hosts) &&
      this.#bound.says(this.paths.hostname, hostname) &&
      this.#bound.says(this.paths.resolvConf, resolvConf, { hashPath: this.#hashPath })
    )
  }

  async #bringBack(path: string, text: string, hashPath?: string): Promise<void> {
    if ((await textIfThere(path)).trim() !== '') return
    await this.#bound.write(path, text, { mode: MODE, ...(hashPath === undefined ? {} : { hashPath }) })
  }

  /** Adds lines to the hosts file. */
  async addHosts(records: readonly HostRecord[]): Promise<void> {
    await this.#editHosts(records, (text) => `${text}${formatHostRecords(records)}`)
  }

  /** Takes lines out of the hosts file. Those of other people stay. */
  async removeHosts(records: readonly HostRecord[]): Promise<void> {
    await this.#editHosts(records, (text) => removeHostRecords(text, records))
  }

  async #editHosts(records: readonly HostRecord[], change: (text: string) => string): Promise<void> {
    if (!this.#made || records.length === 0) return
    await unlessRemoved(() => this.#bound.edit(this.paths.hosts, change))
  }

  /** Makes resolv.conf say something else, unless somebody else changed it. */
  async changeResolvConf(text: () => string): Promise<void> {
    if (!this.#made) return
    using _lock = await this.#writing.lock()
    if (this.#bound.says(this.paths.resolvConf, text(), { hashPath: this.#hashPath })) return
    await unlessRemoved(async () => {
      if (await this.#isModified()) return
      await this.#bound.write(this.paths.resolvConf, text(), { hashPath: this.#hashPath })
    })
  }

  /** Where nobody can tell, the file is left alone. */
  async #isModified(): Promise<boolean> {
    try {
      return await this.#bound.isModified(this.paths.resolvConf, this.#hashPath)
    } catch (error) {
      if (isNetError(error, 'ERR_INVALID_FILE_HASH')) return true
      throw error
    }
  }

  /** Removes them. Safe to call twice. */
  async delete(): Promise<void> {
    if (!this.#made) return
    this.#made = false
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** Where somebody removed the file, another one would not be what the container has mounted. */
async function unlessRemoved(change: () => Promise<void>): Promise<void> {
  try {
    await change()
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

/** What is in a folder; undefined where it is not there. */
function namesIn(folder: string): string[] | undefined {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Of a file that is not there, nothing. */
async function textIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return ''
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
