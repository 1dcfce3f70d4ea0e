import koffi from 'koffi'
import { Readiness } from './readiness.ts'

/** A buffer the C library reads from or writes to; it is not copied. */
type Bytes = Uint8Array

/** The calls of the C library that Node has no way to make. Each returns -1 on failure, see {@link Libc.errno}. */
export interface Libc {
  socket(domain: number, type: number, protocol: number): number
  bind(fd: number, address: Bytes, length: number): number
  connect(fd: number, address: Bytes, length: number): number
  listen(fd: number, backlog: number): number
  /** Without room for the address of who connected. */
  accept4(fd: number, address: null, length: null, flags: number): number
  getsockname(fd: number, address: Bytes, length: Bytes): number
  setsockopt(fd: number, level: number, option: number, value: Bytes, length: number): number
  getsockopt(fd: number, level: number, option: number, value: Bytes, length: Bytes): number
  send(fd: number, buffer: Bytes, length: number, flags: number): number
  /** As `send`, on a pool thread. */
  sendAsync(fd: number, buffer: Bytes, length: number, flags: number): Promise<number>
  recv(fd: number, buffer: Bytes, length: number, flags: number): number
  /** As `recv`; `from` becomes the sender's address. */
  recvfrom(fd: number, buffer: Bytes, length: number, flags: number, from: Bytes, fromLength: Bytes): number
  /** 0 on failure. */
  if_nametoindex(name: string): number
  setns(fd: number, type: number): number
  unshare(flags: number): number
  mount(source: string, target: string, type: string, flags: number): number
  umount2(target: string, flags: number): number
  fsopen(name: string, flags: number): number
  /** Without a key and a value. */
  fsconfig(context: number, command: number): number
  fsmount(context: number, flags: number, attributes: number): number
  sethostname(name: Bytes, length: number): number
  setdomainname(name: Bytes, length: number): number
  prctl(option: number, one: number, two: number, three: number, four: number): number
  capget(header: Bytes, data: Bytes): number
  capset(header: Bytes, data: Bytes): number
  socketpair(domain: number, type: number, protocol: number, fds: Int32Array): number
  /** As `fcntl`, for commands with a number. */
  fcntl(fd: number, command: number, value: number): number
  /** As `fcntl`, on a pool thread. */
  fcntlAsync(fd: number, command: number, value: number): Promise<number>
  /** Without a new limit: only reads. Of a process other than the own one: its id. */
  prlimit(pid: number, resource: number, wanted: Bytes | null, before: Bytes | null): number
  /** The error number of the call made last. Read it at once. */
  errno(): number
}

// asm-generic/unistd.h. C libraries know these calls late, and alpha and MIPS have other numbers: ENOSYS there.
const __NR_fsopen = 430
const __NR_fsconfig = 431
const __NR_fsmount = 432

let loaded: Libc | undefined

/** The C library this process runs on, whichever it is; bound when first asked for. */
export function libc(): Libc {
  return (loaded ??= load())
}

function load(): Libc {
  const library = koffi.load(null)
  const send = library.func('intptr_t send(int fd, const void *buffer, size_t length, int flags)')
  const mount = library.func(
    'int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)',
  )
  // The optional third argument is passed like a named one wherever Linux runs, and koffi calls no function that has
  // optional ones on another thread.
  const fcntl = library.func('int fcntl(int fd, int command, long value)')
  const callByName = library.func('long syscall(long number, const char *name, long flags)')
  const call = library.func('long syscall(long number, long one, long two, long three, long four, long five)')
  return {
    socket: library.func('int socket(int domain, int type, int protocol)'),
    bind: library.func('int bind(int fd, const void *address, uint32_t length)'),
    connect: library.func('int connect(int fd, const void *address, uint32_t length)'),
    listen: library.func('int listen(int fd, int backlog)'),
    accept4: library.func('int accept4(int fd, void *address, void *length, int flags)'),
    getsockname: library.func('int getsockname(int fd, void *address, void *length)'),
    setsockopt: library.func('int setsockopt(int fd, int level, int option, const void *value, uint32_t length)'),
    getsockopt: library.func('int getsockopt(int fd, int level, int option, void *value, void *length)'),
    send,
    sendAsync: onPoolThread(send),
    recv: library.func('intptr_t recv(int fd, void *buffer, size_t length, int flags)'),
    recvfrom: library.func(
      'intptr_t recvfrom(int fd, void *buffer, size_t length, int flags, void *from, void *fromLength)',
    ),
    if_nametoindex: library.func('unsigned int if_nametoindex(const char *name)'),
    setns: library.func('int setns(int fd, int type)'),
    unshare: library.func('int unshare(int flags)'),
    mount: (source, target, type, flags) => mount(source, target, type, flags, null) as number,
    umount2: library.func('int umount2(const char *target, int flags)'),
    fsopen: (name, flags) => callByName(__NR_fsopen, name, flags) as number,
    fsconfig: (context, command) => call(__NR_fsconfig, context, command, 0, 0, 0) as number,
    fsmount: (context, flags, attributes) => call(__NR_fsmount, context, flags, attributes, 0, 0) as number,
    sethostname: library.func('int sethostname(const void *name, size_t length)'),
    setdomainname: library.func('int setdomainname(const void *name, size_t length)'),
    prctl: library.func(
      'int prctl(int option, unsigned long one, unsigned long two, unsigned long three, unsigned long four)',
    ),
    capget: library.func('int capget(void *header, void *data)'),
    capset: library.func('int capset(void *header, const void *data)'),
    socketpair: library.func('int socketpair(int domain, int type, int protocol, void *fds)'),
    fcntl,
    fcntlAsync: onPoolThread(fcntl),
    prlimit: library.func('int prlimit(int pid, int resource, const void *wanted, void *before)'),
    errno: () => koffi.errno(),
  }
}

/** The same function, called on a thread of the pool. Its errno is lost. */
function onPoolThread(
  call: Pick<ReturnType<ReturnType<typeof koffi.load>['func']>, 'async'>,
): (...args: readonly unknown[]) => Promise<number> {
  return (...args) =>
    new Promise((resolve, reject) => {
      call.async(...args, (error: unknown, result: number) => {
        if (error instanceof Error) reject(error)
        else resolve(result)
      })
    })
}

/**
 * Calls `callback` whenever `fd` can be read or has an error to tell, until the result is closed. Does not keep the
 * event loop alive. The callback reads until nothing is left, errors too. What it throws is nobody's to catch, as with
 * any callback of the event loop.
 */
export function watchReadable(fd: number, callback: () => void): { close(): void } {
  const readiness = new Readiness(fd, callback)
  readiness.wait({ readable: true, writable: false })
  return readiness
}
