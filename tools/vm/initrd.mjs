/** The first files a guest has: busybox, the modules its root file system needs, and a script that mounts that. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

/** Linked statically: it is all there is before the root file system. */
const BUSYBOX = '/bin/busybox'
const modules = ['virtio_pci', '9pnet_virtio', '9p', 'overlay']

/** Writing a number to this port of x86 ends QEMU with twice that and one. */
export const EXIT_PORT = 0xf4

/** Says goodbye from inside, with a status. */
const EXIT = `
exit_with() { [ "$1" -le 127 ] || set -- 127; printf "\\\\$(printf %o "$1")" | dd of=/dev/port bs=1 seek=${EXIT_PORT} conv=notrunc 2>/dev/null; }
`

const INIT = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sysfs /sys; $b mount -t devtmpfs dev /dev
while read module; do $b insmod /modules/$module; done </modules/order
$b mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose root /lower
$b mount -t tmpfs -o size=50% tmpfs /upper
$b mkdir /upper/files /upper/work
$b mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /root
for folder in dev proc sys; do $b mount --move /$folder /root/$folder; done
$b mount -t tmpfs -o mode=755 run /root/run
$b cp /stage2 /root/run/stage2
exec $b switch_root /root /bin/bash /run/stage2
`

/** Inside the root file system. */
const stage2 = ({ kernel, folder, command }) => `
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI=1 NO_COLOR=1
${EXIT}
mkdir -p /dev/pts /dev/shm "/lib/modules/${kernel.version}"
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind ${quoted(join(kernel.folder, 'lib/modules', kernel.version))} "/lib/modules/${kernel.version}"
ln -sfn /proc/self/fd /dev/fd
ip link set lo up
stty -F /dev/ttyS0 raw -echo
cd ${quoted(folder)} && ( ${command.map(quoted).join(' ')} ) </dev/null >/dev/ttyS0 2>&1
exit_with $?
`

/** Writes the archive that the guest of this kernel boots with, to run `command` in `folder`. */
export function writeInitrd(path, { kernel, folder, command }) {
  const tree = mkdtempSync(join(tmpdir(), 'net-vm-'))
  try {
    for (const name of ['bin', 'modules', 'proc', 'sys', 'dev', 'lower', 'upper', 'root']) mkdirSync(join(tree, name))
    cpSync(BUSYBOX, join(tree, 'bin/busybox'))
    const files = modulesOf(kernel)
    for (const file of files) cpSync(file, join(tree, 'modules', basename(file)))
    writeFileSync(join(tree, 'modules/order'), files.map((file) => `${basename(file)}\n`).join(''))
    writeFileSync(join(tree, 'init'), INIT, { mode: 0o755 })
    writeFileSync(join(tree, 'stage2'), stage2({ kernel, folder, command }))
    const archive = execFileSync('sh', ['-c', `find . | ${BUSYBOX} cpio -o -H newc`], {
      cwd: tree,
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 64 * 1024 * 1024,
    })
    writeFileSync(path, archive)
  } finally {
    rmSync(tree, { recursive: true })
  }
}

/** In the order in which they can be loaded. */
function modulesOf({ folder, version }) {
  const files = modules.flatMap((name) =>
    execFileSync('/sbin/modprobe', ['-d', folder, '-S', version, '--show-depends', name], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.startsWith('insmod '))
      .map((line) => line.split(' ')[1]),
  )
  return [...new Set(files)]
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`
}
