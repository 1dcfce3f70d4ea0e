/** Runs a command as root on a stock Debian kernel, in a guest of QEMU that sees this machine's files and changes none. */
import { spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureBuilt, ensureInstalled, root, tool } from '../setup/ensure.mjs'
import { EXIT_PORT, writeInitrd } from './initrd.mjs'
import { ensureKernel, ensureVmTools, say } from './kernel.mjs'

const HELP = `usage: npm run test:vm [-- [options] [-- command [argument...]]]

Runs a command as root on a stock Debian kernel (linux-image-amd64), in a guest of QEMU; without one, the tests that
want such a kernel: packages/*/test/*.vm.test.ts, whose packages are built first if need be. It runs in this folder and
sees all files of this machine; what it writes is gone afterwards. Its output comes out here, and its exit status is
handed on (those above 127 as 127). The guest has no network but its own. Root only, x86-64 only; missing Debian
packages are installed.

  --accel kvm|tcg    tcg is slow and runs everywhere; the default is kvm where a guest boots with it
  --memory-mib N     the guest's memory; the default is 3072
  --timeout-s N      after so long it is ended, with status 124; the default is 1800
  --update           looks for a newer kernel than the one fetched before
  --help             says this
`
const [TIMED_OUT, FAILED] = [124, 125]
/** A guest boots in a second or two where KVM works. Some hosts have one that never begins. */
const PROBE_TIMEOUT_S = 20

/** Each test is told of as it ends: an emulated machine takes its time. */
const TESTS = [
  tool('vitest'),
  'run',
  '--root',
  root,
  '--config',
  join(root, 'vitest.vm.config.ts'),
  '--reporter=verbose',
]

process.exitCode = await main()

async function main() {
  const { values, positionals, problem } = argumentsOf(process.argv.slice(2))
  if (problem !== undefined) {
    say(`${problem}; --help says more`)
    return FAILED
  }
  if (values.help) {
    process.stdout.write(HELP)
    return 0
  }
  if (positionals.length === 0) {
    ensureInstalled()
    ensureBuilt()
  }
  ensureVmTools()
  const kernel = ensureKernel({ isUpdated: values.update })
  const memoryMib = Number(values['memory-mib'])
  const probe = { kernel, command: ['true'], accel: 'kvm', memoryMib, timeoutS: PROBE_TIMEOUT_S, isQuiet: true }
  const accel = values.accel ?? (hasKvm() && (await runGuest(probe)) === 0 ? 'kvm' : 'tcg')
  say(`kernel ${kernel.version}, ${accel === 'kvm' ? 'KVM' : 'TCG (emulated, slow)'}`)
  const command = positionals.length > 0 ? positionals : TESTS
  return runGuest({ kernel, command, accel, memoryMib, timeoutS: Number(values['timeout-s']) })
}

/** What was asked for, or what is wrong with it. */
function argumentsOf(args) {
  try {
    const parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        accel: { type: 'string' },
        'memory-mib': { type: 'string', default: '3072' },
        'timeout-s': { type: 'string', default: '1800' },
        update: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    return { ...parsed, problem: parsed.values.help ? undefined : problemWith(parsed.values) }
  } catch (error) {
    return { problem: error.message }
  }
}

function problemWith({ accel, ...numbers }) {
  if (process.getuid() !== 0) return 'root is needed'
  if (process.arch !== 'x64') return `x86-64 is needed; this is ${process.arch}`
  if (![undefined, 'kvm', 'tcg'].includes(accel)) return `--accel ${accel}: expected kvm or tcg`
  for (const name of ['memory-mib', 'timeout-s']) {
    if (!/^[1-9]\d*$/.test(numbers[name])) return `--${name} ${numbers[name]}: expected a number from 1 on`
  }
  return undefined
}

function hasKvm() {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Boots a guest, and resolves with the command's status. */
async function runGuest({ kernel, command, accel, memoryMib, timeoutS, isQuiet = false }) {
  const folder = mkdtempSync(join(tmpdir(), 'net-vm-'))
  try {
    const initrd = join(folder, 'initrd')
    writeInitrd(initrd, { kernel, folder: process.cwd(), command })
    const output = isQuiet ? 'ignore' : 'inherit'
    const flags = flagsOf({ kernel, initrd, accel, memoryMib })
    return await endOf(spawn('qemu-system-x86_64', flags, { stdio: ['ignore', output, output] }), timeoutS)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function flagsOf({ kernel, initrd, accel, memoryMib }) {
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-serial', 'stdio'],
    ...['-accel', accel === 'kvm' ? 'kvm' : 'tcg,thread=multi,tb-size=512', '-cpu', accel === 'kvm' ? 'host' : 'max'],
    ...['-smp', '2', '-m', `${memoryMib}M`],
    ...['-kernel', join(kernel.folder, 'boot', `vmlinuz-${kernel.version}`), '-initrd', initrd],
    ...['-append', 'quiet loglevel=0 panic=-1 mitigations=off nokaslr random.trust_cpu=on nowatchdog'],
    ...['-fsdev', 'local,id=root,path=/,security_model=passthrough,readonly=on,multidevs=remap'],
    ...['-device', 'virtio-9p-pci,fsdev=root,mount_tag=root', '-device', `isa-debug-exit,iobase=${EXIT_PORT},iosize=1`],
  ]
}

/** Waits for the guest, and for no longer than that. */
async function endOf(qemu, timeoutS) {
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    qemu.kill('SIGKILL')
  }, timeoutS * 1000)
  const stop = () => qemu.kill('SIGTERM')
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop)
  const code = await new Promise((resolve) => {
    qemu.once('error', (error) => {
      say(error.message)
      resolve(0)
    })
    qemu.once('close', resolve)
  })
  clearTimeout(timer)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, stop)
  if (isLate) return TIMED_OUT
  // A guest that says goodbye has QEMU end with an odd number.
  return code !== null && code % 2 === 1 ? (code - 1) / 2 : FAILED
}
