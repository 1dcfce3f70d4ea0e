import { libc, type Libc } from '../libc.ts'

/** asm-generic/errno-base.h, asm-generic/errno.h */
const errnos = { ENOMEM: 12, ENOSPC: 28, ENOBUFS: 105 } as const

/** Calls that fail, and as what: each with an error that the kernel may answer for want of memory or room. */
const failures = {
  ...{ socket: 'ENOBUFS', bind: 'ENOMEM', listen: 'ENOMEM', setsockopt: 'ENOMEM', getsockname: 'ENOBUFS' },
  ...{
    send: 'ENOBUFS',
    recv: 'ENOBUFS',
    recvfrom: 'ENOBUFS',
    setns: 'ENOMEM',
    unshare: 'ENOSPC',
    mount: 'ENOMEM',
    umount2: 'ENOMEM',
    fsopen: 'ENOMEM',
    fsconfig: 'ENOMEM',
    fsmount: 'ENOMEM',
    fcntl: 'ENOMEM',
    if_nametoindex: 'ENOMEM',
  },
} as const satisfies Partial<Record<keyof Libc, keyof typeof errnos>>

type FaultyCall = keyof typeof failures

/**
 * Has one system call of this process fail that would not have: the nth from when it was told so. It is not made then.
 * All others are. Or the process is killed in its place. The way home from a namespace never fails: nobody could go on after that.
 */
export class SystemCallFaults implements Disposable {
  /** Calls since it was told which is to fail. */
  count = 0
  /** The call that failed. */
  failed: FaultyCall | undefined
  #left = Infinity
  #errno: number | undefined
  #kills = false
  #isAway = false
  readonly #sound: Libc

  constructor() {
    this.#sound = { ...libc() }
    const sound = this.#sound
    for (const call of Object.keys(failures) as FaultyCall[]) {
      const make = (...args: unknown[]): number => (sound[call] as (...all: unknown[]) => number)(...args)
      Object.assign(libc(), { [call]: (...args: unknown[]) => (this.#fails(call) ? -1 : make(...args)) })
    }
    Object.assign(libc(), {
      sendAsync: (...args: Parameters<Libc['sendAsync']>) =>
        this.#fails('send') ? Promise.resolve(-1) : sound.sendAsync(...args),
      errno: () => {
        const errno = this.#errno
        this.#errno = undefined
        return errno ?? sound.errno()
      },
    })
  }

  failAt(nth: number): void {
    Object.assign(this, { count: 0, failed: undefined })
    this.#left = nth
  }

  /** Has this process killed in place of the nth call from now on. */
  killAt(nth: number): void {
    this.failAt(nth)
    this.#kills = true
  }

  heal(): void {
    this.#left = Infinity
    this.#kills = false
  }

  [Symbol.dispose](): void {
    Object.assign(libc(), this.#sound)
  }

  #fails(call: FaultyCall): boolean {
    // Of the calls that change the namespace, every second one is the way back.
    if (call === 'setns' && this.#isAway) {
      this.#isAway = false
      return false
    }
    // Whether it succeeds or not.
    if (call === 'setns' || call === 'unshare') this.#isAway = true
    this.count++
    if (--this.#left === 0) {
      if (this.#kills) process.kill(process.pid, 'SIGKILL')
      this.failed = call
      this.#errno = errnos[failures[call]]
      return true
    }
    return false
  }
}
