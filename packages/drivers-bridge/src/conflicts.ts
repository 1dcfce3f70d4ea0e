import type { CheckNetworkRequest } from '@net/driverapi'
import { InvalidOptionError } from './errors.ts'
import { networkLabels, type Label } from './labels.ts'
import type { BridgeOptions, GatewayMode } from './options.ts'

/** RFC 8200, 5: no link that carries IPv6 takes less, and the kernel has none on such a link. */
const MIN_IPV6_MTU = 1280

/** An option that does not go with the others, and what would. */
type Conflict = readonly [label: Label<unknown>, isGiven: boolean, expected: string]

/**
 * Refuses options that each make sense, but not with the rest of what is asked for.
 *
 * @throws InvalidOptionError (`ERR_INVALID_OPTION`): the option, its value, and what would be right
 */
export function checkConflicts(options: BridgeOptions, request: CheckNetworkRequest): void {
  const conflicts = [
    ...withoutIpv4(options, request),
    ...withoutIpv6(options, request),
    ...ofModes(options, request),
    ...ofSources(options),
  ]
  for (const [{ name }, isGiven, expected] of conflicts) {
    if (isGiven) throw new InvalidOptionError(name, request.options[name], expected)
  }
}

function withoutIpv4({ sources, hostBinding }: BridgeOptions, { ipv4, options }: CheckNetworkRequest): Conflict[] {
  const expected = 'none on a network without IPv4'
  const isGiven = (label: Label<unknown>): boolean => !ipv4 && Object.hasOwn(options, label.name)
  return [
    [networkLabels.gatewayModeIpv4, isGiven(networkLabels.gatewayModeIpv4), expected],
    [networkLabels.inhibitIpv4, isGiven(networkLabels.inhibitIpv4), expected],
    [networkLabels.sourceIpv4, !ipv4 && sources.ipv4 !== undefined, expected],
    [
      networkLabels.hostBinding,
      !ipv4 && hostBinding?.includes('.') === true && !hostBinding.includes(':'),
      'an IPv6 address on a network without IPv4',
    ],
  ]
}

function withoutIpv6({ mtu, sources, hostBinding }: BridgeOptions, request: CheckNetworkRequest): Conflict[] {
  const { ipv6 } = request
  const isModeGiven = Object.hasOwn(request.options, networkLabels.gatewayModeIpv6.name)
  return [
    [
      networkLabels.mtu,
      ipv6 && mtu !== undefined && mtu < MIN_IPV6_MTU,
      `${MIN_IPV6_MTU} or more on a network with IPv6`,
    ],
    [networkLabels.gatewayModeIpv6, !ipv6 && isModeGiven, 'none on a network without IPv6'],
    [networkLabels.sourceIpv6, !ipv6 && sources.ipv6 !== undefined, 'none on a network without IPv6'],
    [
      networkLabels.hostBinding,
      !ipv6 && hostBinding?.includes(':') === true,
      'an IPv4 address on a network without IPv6',
    ],
  ]
}

function ofModes(options: BridgeOptions, { internal }: CheckNetworkRequest): Conflict[] {
  const { gatewayModes, trustedInterfaces, hostBinding } = options
  const { ipv4, ipv6 } = gatewayModes
  const bindingMode = hostBinding?.includes(':') === true ? ipv6 : ipv4
  const modes = [
    [networkLabels.gatewayModeIpv4, ipv4],
    [networkLabels.gatewayModeIpv6, ipv6],
  ] as const
  return [
    ...modes.flatMap(([label, mode]): Conflict[] => [
      [label, !internal && mode === 'isolated', 'nat, nat-unprotected or routed on a network that is not internal'],
      [label, internal && isOpen(mode), 'nat or isolated on an internal network'],
    ]),
    // Somebody who binds ports to 127.0.0.1 does not expect them to be open to everybody.
    [
      networkLabels.hostBinding,
      hostBinding !== undefined && bindingMode === 'routed',
      'none where ports are reached at addresses of containers: the gateway mode of its family is routed',
    ],
    [networkLabels.trustedInterfaces, internal && trustedInterfaces.length > 0, 'none on an internal network'],
    [
      networkLabels.trustedInterfaces,
      trustedInterfaces.length > 0 && ipv4 !== 'nat' && ipv6 !== 'nat',
      'none where no family has gateway mode nat',
    ],
  ]
}

function ofSources({ masquerade, sources, gatewayModes }: BridgeOptions): Conflict[] {
  return (['ipv4', 'ipv6'] as const).map((family): Conflict => {
    const label = family === 'ipv4' ? networkLabels.sourceIpv4 : networkLabels.sourceIpv6
    const keepsSource = !masquerade || !isNat(gatewayModes[family])
    const expected = 'none where packets keep their source: masquerading is off, or the gateway mode is not nat'
    return [label, sources[family] !== undefined && keepsSource, expected]
  })
}

/** Whether addresses are translated between containers and the outside. */
export function isNat(mode: GatewayMode): boolean {
  return mode === 'nat' || mode === 'nat-unprotected'
}

function isOpen(mode: GatewayMode): boolean {
  return mode === 'nat-unprotected' || mode === 'routed'
}
