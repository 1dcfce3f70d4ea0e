import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { programs } from './install.ts'
import type { Peer, PeerContainer } from './peer.ts'

/** netavark, as podman runs it: one process for a container. */
export function netavark(): Peer {
  const folder = mkdtempSync(join(tmpdir(), 'net-bench-netavark-'))
  const run = (command: string, container: PeerContainer): void => {
    execFileSync(programs.netavark, ['--config', folder, command, container.path], {
      input: JSON.stringify(configuration(container)),
      stdio: ['pipe', 'ignore', 'inherit'],
    })
  }
  return {
    name: 'netavark',
    attach: (container) => {
      run('setup', container)
    },
    detach: (container) => {
      run('teardown', container)
    },
    startOnly: () => {
      execFileSync(programs.netavark, ['version'], { stdio: 'ignore' })
    },
    close: () => {
      rmSync(folder, { recursive: true })
    },
  }
}

function configuration({ number, hostPort }: PeerContainer): unknown {
  return {
    container_id: number.toString(16).padStart(64, '0'),
    container_name: `container${number}`,
    port_mappings:
      hostPort === undefined
        ? []
        : [{ container_port: 80, host_ip: '', host_port: hostPort, protocol: 'tcp', range: 1 }],
    networks: { bench: { static_ips: [`10.93.${(number + 2) >> 8}.${(number + 2) & 255}`], interface_name: 'eth0' } },
    network_info: {
      bench: {
        name: 'bench',
        id: 'b'.repeat(64),
        driver: 'bridge',
        network_interface: 'podman-bench',
        subnets: [{ subnet: '10.93.0.0/16', gateway: '10.93.0.1' }],
        ipv6_enabled: false,
        internal: false,
        dns_enabled: false,
        ipam_options: { driver: 'host-local' },
      },
    },
  }
}
