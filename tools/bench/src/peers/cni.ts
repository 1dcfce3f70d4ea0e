import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { programs } from './install.ts'
import type { Peer, PeerContainer } from './peer.ts'

/** The CNI plugins bridge and host-local, and portmap where a port is published. */
export function cni(): Peer {
  const folder = mkdtempSync(join(tmpdir(), 'net-bench-cni-'))
  const results = new Map<number, unknown>()
  const run = (program: string, command: string, { path, number }: PeerContainer, input: unknown): string =>
    execFileSync(program, [], {
      // Asked for its version, a plugin does not read: the pipe would break.
      ...(input === undefined ? {} : { input: JSON.stringify(input) }),
      encoding: 'utf8',
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'inherit'],
      env: {
        PATH: process.env.PATH,
        CNI_COMMAND: command,
        CNI_CONTAINERID: `bench${number}`,
        CNI_NETNS: path,
        CNI_IFNAME: 'eth0',
        CNI_PATH: '/usr/lib/cni',
      },
    })
  return {
    name: 'CNI',
    attach: (container) => {
      const result: unknown = JSON.parse(run(programs.bridge, 'ADD', container, bridge(folder)))
      if (container.hostPort !== undefined) run(programs.portmap, 'ADD', container, portmap(container.hostPort, result))
      results.set(container.number, result)
    },
    detach: (container) => {
      const { hostPort, number } = container
      if (hostPort !== undefined) run(programs.portmap, 'DEL', container, portmap(hostPort, results.get(number)))
      run(programs.bridge, 'DEL', container, bridge(folder))
    },
    startOnly: (withPort) => {
      const nowhere = { path: '', number: 0, hostPort: undefined }
      for (const program of withPort ? [programs.bridge, programs.portmap] : [programs.bridge]) {
        run(program, 'VERSION', nowhere, undefined)
      }
    },
    close: () => {
      rmSync(folder, { recursive: true })
    },
  }
}

function bridge(dataDir: string): unknown {
  return {
    cniVersion: '0.4.0',
    name: 'bench',
    type: 'bridge',
    bridge: 'cni-bench',
    isGateway: true,
    ipMasq: true,
    ipam: { type: 'host-local', subnet: '10.94.0.0/16', routes: [{ dst: '0.0.0.0/0' }], dataDir },
  }
}

function portmap(hostPort: number, prevResult: unknown): unknown {
  return {
    cniVersion: '0.4.0',
    name: 'bench',
    type: 'portmap',
    capabilities: { portMappings: true },
    runtimeConfig: { portMappings: [{ hostPort, containerPort: 80, protocol: 'tcp' }] },
    prevResult,
  }
}
