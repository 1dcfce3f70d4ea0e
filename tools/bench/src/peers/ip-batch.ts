import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The best that iproute2 does: two processes, the veth's far end born in place. */
export function ipBatch(folder: string, at: number): { attach(): void; startOnly(): void; remove(): void } {
  const name = `netbench-${process.pid}-${at}`
  const outside = join(folder, `outside-${at}`)
  const inside = join(folder, `inside-${at}`)
  const nothing = join(folder, `nothing-${at}`)
  writeFileSync(
    outside,
    `netns add ${name}\nlink add vip${at} mtu 1500 master br-floor up type veth peer name eth0 address 02:42:0a:5b:01:${(at + 16).toString(16)} netns ${name}\n`,
  )
  writeFileSync(
    inside,
    [
      'link set lo up',
      'link set eth0 up',
      `addr add 10.91.100.${at + 1}/16 dev eth0`,
      `addr add fd91::a${at.toString(16)}/64 dev eth0 nodad`,
      'route add default via 10.91.255.254',
      'route add default via fd91::ffff',
      '',
    ].join('\n'),
  )
  writeFileSync(nothing, '')
  const ip = (...args: string[]): void => {
    execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  }
  return {
    attach: () => {
      ip('-batch', outside)
      ip('-n', name, '-batch', inside)
    },
    startOnly: () => {
      ip('-batch', nothing)
      ip('-batch', nothing)
    },
    remove: () => {
      ip('netns', 'del', name)
    },
  }
}
