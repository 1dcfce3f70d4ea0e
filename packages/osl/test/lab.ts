import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JoinPlan, NetworkPlan, SandboxLink } from '@net/driverapi'
import { Executor } from '../src/index.ts'

const BRIDGE = 'br-lab'

/** A network whose bridge is a next hop of both families. */
const network: NetworkPlan = {
  links: [
    {
      kind: 'bridge',
      name: BRIDGE,
      macAddress: '02:42:00:00:00:01',
      mtu: 1500,
      addresses: ['10.20.0.1/24', 'fe80::1/64'],
    },
  ],
  sysctls: [],
  firewall: [],
}

/** A host with one network and one sandbox, which has nothing yet. */
export interface Lab {
  readonly executor: Executor
  readonly key: string
  /** Deletes everything, with what these plans made in the sandbox. */
  close(plans: readonly JoinPlan[]): Promise<void>
}

/** Opens it in the namespace of the calling thread, for tests that need no packet rules. */
export async function openLab(): Promise<Lab> {
  const folder = mkdtempSync(join(tmpdir(), 'osl-'))
  const key = join(folder, 'box')
  const executor = Executor.open(
    { owner: 'net:test' },
    { firewall: { change: () => Promise.resolve(), close: () => Promise.resolve() } },
  )
  await executor.createNetwork(network)
  await executor.createSandbox(key)
  const close = async (plans: readonly JoinPlan[]): Promise<void> => {
    await executor.deleteSandbox(key, plans)
    await executor.settle()
    await executor.deleteNetwork(network)
    await executor.close()
    rmSync(folder, { recursive: true })
  }
  return { executor, key, close }
}

/** What the endpoint of this number, a digit, wants on the lab's network. */
export function planOf(
  number: number,
  { gateways = {}, ...link }: Partial<SandboxLink> & { gateways?: JoinPlan['sandbox']['gateways'] } = {},
): JoinPlan {
  return {
    sandbox: {
      links: [
        {
          create: { kind: 'veth', hostName: `lab${number}`, master: BRIDGE },
          name: `eth${number}`,
          macAddress: `02:42:0a:14:00:0${number}`,
          addresses: [`10.20.0.${number}/24`],
          routes: [],
          neighbours: [],
          sysctls: [],
          ...link,
        },
      ],
      gateways,
    },
    firewall: [],
    ports: [],
  }
}
