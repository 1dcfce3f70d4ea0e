import {
  formatJoinPlan,
  formatNetworkPlan,
  type CheckNetworkRequest,
  type EndpointRecord,
  type HostLink,
  type NetworkRecord,
} from '@net/driverapi'
import { describeNetworkDriver } from '@net/driverapi/testing'
import { describe, expect, it } from 'vitest'
import { bridgeDriver, type BridgeEndpointOptions, type BridgeOptions } from './index.ts'

const driver = bridgeDriver()
const id = '0123456789ab'.padEnd(64, 'c')

describeNetworkDriver('bridge', () => ({
  driver,
  networkOptions: [{ 'com.docker.network.bridge.name': 'br-one' }, { 'com.docker.network.bridge.name': 'br-two' }],
}))

/** A dual-stack network with an endpoint, changed as a test needs it. */
function network(changes: Partial<NetworkRecord<BridgeOptions>> = {}): NetworkRecord<BridgeOptions> {
  return {
    id,
    name: 'network1',
    driver: 'bridge',
    phase: 'ready',
    internal: false,
    ipv4: { poolId: '4', pool: '172.18.0.0/16', gateway: '172.18.0.1/16' },
    ipv6: { poolId: '6', pool: 'fd00::/64', gateway: 'fd00::1/64' },
    labels: {},
    options: check({}),
    ...changes,
  }
}

function endpoint(changes: Partial<EndpointRecord<BridgeEndpointOptions>> = {}): EndpointRecord<BridgeEndpointOptions> {
  return {
    id: 'fedcba9876543210'.repeat(4),
    networkId: id,
    name: 'endpoint1',
    phase: 'ready',
    macAddress: '02:42:ac:12:00:02',
    address: '172.18.0.2/16',
    address6: 'fd00::2/64',
    aliases: [],
    ports: [],
    exposed: [],
    options: {},
    interfaceName: 'eth0',
    ...changes,
  }
}

const sandbox = { id: 's', containerId: 'c', hostname: 'c', phase: 'ready', key: '/run/net/s' } as const

function check(
  options: Record<string, unknown>,
  existing: readonly NetworkRecord[] = [],
  rest: Partial<CheckNetworkRequest> = {},
): BridgeOptions {
  return driver.checkNetwork({
    id,
    name: 'network1',
    internal: false,
    ipv4: true,
    ipv6: true,
    options,
    existing,
    ...rest,
  })
}

describe('the plan of a network', () => {
  it('is a bridge with an address of each family, forwarding and masquerading', () => {
    expect(formatNetworkPlan(driver.planNetwork(network()))).toBe(
      [
        'link add br-0123456789ab type bridge address 02:42:01:23:45:67 up',
        'addr add 172.18.0.1/16 dev br-0123456789ab',
        'addr add fd00::1/64 dev br-0123456789ab',
        'forward IPv4',
        'forward IPv6',
        'sysctl net.ipv4.conf.br-0123456789ab.route_localnet=1',
        'sysctl net.ipv6.conf.br-0123456789ab.disable_ipv6=0',
        'sysctl net.ipv6.conf.br-0123456789ab.accept_ra=0',
        'sysctl net.ipv6.conf.br-0123456789ab.accept_dad=0',
        'firewall: network br-0123456789ab: masquerade IPv4 and IPv6',
      ].join('\n'),
    )
  })

  it('keeps IPv6 off a bridge without IPv6', () => {
    expect(formatNetworkPlan(driver.planNetwork(network({ ipv6: undefined })))).toBe(
      [
        'link add br-0123456789ab type bridge address 02:42:01:23:45:67 up',
        'addr add 172.18.0.1/16 dev br-0123456789ab',
        'forward IPv4',
        'sysctl net.ipv4.conf.br-0123456789ab.route_localnet=1',
        'sysctl net.ipv6.conf.br-0123456789ab.disable_ipv6=1',
        'firewall: network br-0123456789ab: masquerade IPv4',
      ].join('\n'),
    )
  })

  it('forwards nothing for an internal network', () => {
    expect(formatNetworkPlan(driver.planNetwork(network({ internal: true })))).toBe(
      [
        'link add br-0123456789ab type bridge address 02:42:01:23:45:67 up',
        'addr add 172.18.0.1/16 dev br-0123456789ab',
        'addr add fd00::1/64 dev br-0123456789ab',
        'sysctl net.ipv6.conf.br-0123456789ab.disable_ipv6=0',
        'sysctl net.ipv6.conf.br-0123456789ab.accept_ra=0',
        'sysctl net.ipv6.conf.br-0123456789ab.accept_dad=0',
        'firewall: network br-0123456789ab: internal',
      ].join('\n'),
    )
  })

  it('takes name, MTU and masquerading from the options', () => {
    const options = check({
      'com.docker.network.bridge.name': 'br-lab',
      'com.docker.network.driver.mtu': '1400',
      'com.docker.network.bridge.enable_ip_masquerade': 'false',
    })

    expect(formatNetworkPlan(driver.planNetwork(network({ options })))).toContain(
      'link add br-lab type bridge address 02:42:01:23:45:67 mtu 1400 up',
    )
    expect(formatNetworkPlan(driver.planNetwork(network({ options })))).toMatch(/firewall: network br-lab$/)
  })
})

describe('the MTU of a network', () => {
  it.each([1279, '68'])('is not %j where there is IPv6, which needs 1280', (mtu) => {
    const options = { 'com.docker.network.driver.mtu': mtu }

    expect(() => check(options)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: `invalid value ${JSON.stringify(mtu)} of com.docker.network.driver.mtu: expected 1280 or more on a network with IPv6`,
      }) as Error,
    )
    expect(
      driver.checkNetwork({ id, name: 'network1', internal: false, ipv4: true, ipv6: false, options, existing: [] }),
    ).toMatchObject({ mtu: Number(mtu) })
  })

  it.each([0, 1280, 9000])('can be %i where there is IPv6', (mtu) => {
    expect(check({ 'com.docker.network.driver.mtu': mtu }).mtu).toBe(mtu === 0 ? undefined : mtu)
  })
})

describe('a bridge that the host has already', () => {
  const there: HostLink = {
    kind: 'bridge',
    addresses: ['192.168.122.1/24', 'fe80::1/64'],
    owner: undefined,
    routesLocalnet: false,
  }
  const on = (link: Partial<HostLink>, pool = '192.168.122.0/24', gateway = '192.168.122.1/24') =>
    network({
      ipv4: { poolId: '4', pool, gateway },
      ipv6: undefined,
      options: check({ 'com.docker.network.bridge.name': 'br111' }, [], {
        ipv4: true,
        ipv6: false,
        findHostLink: (name) => (name === 'br111' ? { ...there, ...link } : undefined),
      }),
    })

  it('is used as it is', () => {
    expect(formatNetworkPlan(driver.planNetwork(on({})))).toBe(
      [
        'link set br111 up',
        'forward IPv4',
        'sysctl net.ipv4.conf.br111.route_localnet=1',
        'in the end: sysctl net.ipv4.conf.br111.route_localnet=0',
        'firewall: network br111: masquerade IPv4',
      ].join('\n'),
    )
  })

  it('is given what it lacks, and no setting that it has', () => {
    expect(formatNetworkPlan(driver.planNetwork(on({ addresses: [], routesLocalnet: true })))).toBe(
      [
        'link set br111 up',
        'addr add 192.168.122.1/24 dev br111',
        'forward IPv4',
        'firewall: network br111: masquerade IPv4',
      ].join('\n'),
    )
  })

  it('is refused where it is none, or some controller has a network on it', () => {
    expect(() => on({ kind: undefined })).toThrow(expect.objectContaining({ code: 'ERR_NOT_A_BRIDGE' }) as Error)
    expect(() => on({ owner: 'net:f00' })).toThrow(expect.objectContaining({ code: 'ERR_BRIDGE_IN_USE' }) as Error)
  })

  it('is refused where it has another address in the subnet of the network', () => {
    expect(() => driver.checkSubnets?.(on({}, '192.168.122.0/24', '192.168.122.9/24'))).toThrow(
      expect.objectContaining({ code: 'ERR_BRIDGE_ADDRESS', kind: 'forbidden' }) as Error,
    )
    expect(() => driver.checkSubnets?.(on({}, '10.0.0.0/24', '10.0.0.1/24'))).not.toThrow()
  })
})

describe('the plan of an endpoint', () => {
  it('ties the sandbox to the bridge with one veth', () => {
    expect(formatJoinPlan(driver.planEndpoint(network(), endpoint(), sandbox))).toBe(
      [
        'link add vethfedcba98765 type veth master br-0123456789ab hairpin up peer eth0 netns sandbox address 02:42:ac:12:00:02',
        'sandbox: sysctl net.ipv6.conf.eth0.disable_ipv6=0',
        'sandbox: sysctl net.ipv6.conf.eth0.accept_ra=0',
        'sandbox: sysctl net.ipv6.conf.eth0.mldv2_unsolicited_report_interval=2000000000',
        'sandbox: addr add 172.18.0.2/16 dev eth0',
        'sandbox: addr add fd00::2/64 dev eth0',
        'sandbox: route add default via 172.18.0.1',
        'sandbox: route add default via fd00::1',
      ].join('\n'),
    )
  })

  it('has no default route on an internal network, and no IPv6 without an IPv6 address', () => {
    const plan = driver.planEndpoint(network({ internal: true }), endpoint({ address6: undefined }), sandbox)

    expect(formatJoinPlan(plan)).toBe(
      [
        'link add vethfedcba98765 type veth master br-0123456789ab hairpin up peer eth0 netns sandbox address 02:42:ac:12:00:02',
        'sandbox: sysctl net.ipv6.conf.eth0.disable_ipv6=1',
        'sandbox: addr add 172.18.0.2/16 dev eth0',
      ].join('\n'),
    )
  })

  it('isolates the port where containers may not speak with each other', () => {
    const options = check({ 'com.docker.network.bridge.enable_icc': 'false' })

    expect(formatJoinPlan(driver.planEndpoint(network({ options }), endpoint(), sandbox))).toContain(
      'master br-0123456789ab isolated hairpin up',
    )
  })

  it('writes settings of the interface last, and has the routes asked for', () => {
    const sysctls = [{ path: 'net/ipv6/conf/IFNAME/accept_ra', value: '2' }]
    const routes = [{ destination: '192.0.2.0/24', gateway: '172.18.0.9' }, { destination: '2001:db8::/32' }]
    const text = formatJoinPlan(driver.planEndpoint(network(), endpoint({ options: { sysctls }, routes }), sandbox))

    expect(text).toMatch(/accept_ra=0\n(.*\n)*sandbox: sysctl net.ipv6.conf.eth0.accept_ra=2\nsandbox: addr/)
    expect(text).toContain(
      'sandbox: route add 192.0.2.0/24 via 172.18.0.9\nsandbox: route add 2001:db8::/32 dev eth0\n',
    )
  })

  it('leaves IPv6 out where the settings of the interface put it off', () => {
    const options = { sysctls: [{ path: 'net/ipv6/conf/IFNAME/disable_ipv6', value: '1' }] }
    const routes = [{ destination: '2001:db8::/32' }]

    expect(formatJoinPlan(driver.planEndpoint(network(), endpoint({ options, routes }), sandbox))).not.toMatch(
      /fd00|2001/,
    )
  })

  it('announces a MAC address that was given, and none that the IPv4 address says', () => {
    const announced = (changes: Partial<EndpointRecord<BridgeEndpointOptions>>): boolean =>
      formatJoinPlan(driver.planEndpoint(network(), endpoint({ address6: undefined, ...changes }), sandbox)).includes(
        'announce',
      )

    expect(announced({})).toBe(false)
    expect(announced({ macAddress: '02:ab:00:00:00:01' })).toBe(true)
  })

  it('publishes a port in each family that both ends have', () => {
    const ports = [
      { protocol: 'tcp', containerPort: 80, hostPort: 8080 },
      { protocol: 'udp', containerPort: 53, hostPort: 53, hostAddress: '192.0.2.1' },
      { protocol: 'tcp', containerPort: 443, hostPort: 8443, hostAddress: '2001:db8::1' },
    ] as const

    expect(
      formatJoinPlan({
        sandbox: { links: [], gateways: {} },
        ports: [],
        firewall: driver.planPorts(network(), endpoint(), ports),
      }),
    ).toBe(
      [
        'firewall: tcp *:8080 to 172.18.0.2:80',
        'firewall: tcp *:8080 to [fd00::2]:80',
        'firewall: udp 192.0.2.1:53 to 172.18.0.2:53',
        'firewall: tcp [2001:db8::1]:8443 to [fd00::2]:443',
      ].join('\n'),
    )
  })
})

describe('a range of ports', () => {
  const ports = [
    { protocol: 'tcp', containerPort: 8000, hostPort: 9000, count: 100 },
    { protocol: 'udp', containerPort: 5000, hostPort: 5000, hostAddress: '192.0.2.1', count: 60_000 },
  ] as const
  const wordsOf = (options: Record<string, unknown>): string =>
    formatJoinPlan({
      sandbox: { links: [], gateways: {} },
      ports: [],
      firewall: driver.planPorts(network({ options: check(options) }), endpoint(), ports),
    })

  it('is published as one, in each family that both ends have', () => {
    expect(wordsOf({})).toBe(
      [
        'firewall: tcp *:9000-9099 to 172.18.0.2:8000-8099',
        'firewall: tcp *:9000-9099 to [fd00::2]:8000-8099',
        'firewall: udp 192.0.2.1:5000-64999 to 172.18.0.2:5000-64999',
      ].join('\n'),
    )
  })

  it('is open as one where the mode of the gateway or a trusted interface has it open', () => {
    const mode = 'com.docker.network.bridge.gateway_mode_ipv'
    expect(wordsOf({ [`${mode}4`]: 'routed', [`${mode}6`]: 'nat-unprotected' })).toBe(
      [
        'firewall: open tcp 172.18.0.2:8000-8099',
        'firewall: tcp *:9000-9099 to [fd00::2]:8000-8099',
        'firewall: open udp 172.18.0.2:5000-64999',
      ].join('\n'),
    )
    expect(wordsOf({ 'com.docker.network.bridge.trusted_host_interfaces': 'lan0' })).toContain(
      'firewall: udp 192.0.2.1:5000-64999 to 172.18.0.2:5000-64999\nfirewall: open udp 172.18.0.2:5000-64999',
    )
  })

  it('is one binding of the port map', () => {
    const described = driver.describe(network(), endpoint({ ports: ports.slice(0, 1) }))

    expect(described['com.docker.network.portmap']).toEqual([
      { Proto: 6, IP: '172.18.0.2', Port: 8000, HostIP: '0.0.0.0', HostPort: 9000, HostPortEnd: 9099 },
      { Proto: 6, IP: 'fd00::2', Port: 8000, HostIP: '::', HostPort: 9000, HostPortEnd: 9099 },
    ])
  })
})

describe('interface names', () => {
  it('take the lowest number that is free', () => {
    expect(driver.nameInterface(network(), endpoint(), [])).toBe('eth0')
    expect(driver.nameInterface(network(), endpoint(), ['eth0', 'eth2'])).toBe('eth1')
  })

  it('follow the prefix of the network and the name of the endpoint', () => {
    const options = check({ 'com.docker.network.container_iface_prefix': 'net' })
    const named = endpoint({ options: { interfaceName: 'wan' } })

    expect(driver.nameInterface(network({ options }), endpoint(), ['net0'])).toBe('net1')
    expect(driver.nameInterface(network(), named, ['eth0'])).toBe('wan')
    expect(() => driver.nameInterface(network(), named, ['wan'])).toThrow(
      expect.objectContaining({ code: 'ERR_INTERFACE_NAME_TAKEN', kind: 'forbidden' }) as Error,
    )
  })
})

describe('options', () => {
  it.each([
    ['com.docker.network.bridge.name', 'sixteen-bytes-xx', /15 bytes/],
    ['com.docker.network.bridge.name', 'with space', /white space/],
    ['com.docker.network.bridge.name', 'br%d', /"%"/],
    ['com.docker.network.bridge.name', 'all', /interface name/],
    ['com.docker.network.container_iface_prefix', 'eth%d', /interface name/],
    ['com.docker.network.bridge.name', '', /1 to 15/],
    ['com.docker.network.bridge.name', 7, /interface name/],
    ['com.docker.network.driver.mtu', '-2', /68 to 65535/],
    ['com.docker.network.driver.mtu', 67, /68 to 65535/],
    ['com.docker.network.driver.mtu', 'big', /68 to 65535/],
    ['com.docker.network.bridge.enable_ip_masquerade', 'yes', /true or false/],
    ['com.docker.network.container_iface_prefix', 'twelve-bytes', /1 to 11/],
    ['com.docker.network.bridge.enable_icc', 'no', /true or false/],
    ['com.docker.network.bridge.inhibit_ipv4', 2, /true or false/],
    ['com.docker.network.bridge.gateway_mode_ipv4', 'open', /nat, nat-unprotected, routed or isolated/],
    ['com.docker.network.bridge.gateway_mode_ipv6', 'NAT', /nat, nat-unprotected, routed or isolated/],
    ['com.docker.network.bridge.host_binding_ipv4', 'localhost', /an address of the host/],
    ['com.docker.network.bridge.trusted_host_interfaces', 'eth0:with space', /names of interfaces/],
    ['com.docker.network.host_ipv4', '2001:db8::1', /an IPv4 address/],
    ['com.docker.network.host_ipv6', '192.0.2.1', /an IPv6 address/],
  ])('refuse %s = %j, naming both', (label, value, expected) => {
    const refused = (): unknown => check({ [label]: value })

    expect(refused).toThrow(expect.objectContaining({ code: 'ERR_INVALID_OPTION', kind: 'bad-request' }) as Error)
    expect(refused).toThrow(expected)
    expect(refused).toThrow(label)
    expect(refused).toThrow(JSON.stringify(value))
  })

  it.each(['1', 't', 'T', 'TRUE', 'true', 'True', true])('take %j for true, as libnetwork does', (value) => {
    expect(check({ 'com.docker.network.bridge.enable_ip_masquerade': value }).masquerade).toBe(true)
  })

  it.each(['0', 'f', 'F', 'FALSE', 'false', 'False', false])('take %j for false, as libnetwork does', (value) => {
    expect(check({ 'com.docker.network.bridge.enable_ip_masquerade': value }).masquerade).toBe(false)
  })

  // libnetwork: bridge.TestParseNetworkOptions: an MTU of 9000 passes, 0 leaves it as it is
  it('take an MTU of 0 to leave it as it is', () => {
    expect(check({ 'com.docker.network.driver.mtu': 0 }).mtu).toBeUndefined()
    expect(check({ 'com.docker.network.driver.mtu': '9000' }).mtu).toBe(9000)
  })

  it('leave unknown labels to others', () => {
    expect(check({ 'org.example.team': 'red' }).bridge).toBe('br-0123456789ab')
  })

  it('take the empty gateway mode for nat, as libnetwork does', () => {
    expect(check({ 'com.docker.network.bridge.gateway_mode_ipv6': '' }).gatewayModes).toEqual({
      ipv4: 'nat',
      ipv6: 'nat',
    })
  })

  it('take 0.0.0.0 as host binding for every address of either family, as libnetwork does', () => {
    expect(check({ 'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0' }).hostBinding).toBeUndefined()
    expect(check({ 'com.docker.network.bridge.host_binding_ipv4': '::' }).hostBinding).toBe('::')
  })

  it.each<[Record<string, unknown>, Partial<CheckNetworkRequest>, string, string]>([
    [{ gateway_mode_ipv4: 'isolated' }, {}, 'gateway_mode_ipv4', 'nat, nat-unprotected or routed on a network that'],
    [
      { gateway_mode_ipv6: 'routed' },
      { internal: true },
      'gateway_mode_ipv6',
      'nat or isolated on an internal network',
    ],
    [{ gateway_mode_ipv4: 'nat-unprotected' }, { internal: true }, 'gateway_mode_ipv4', 'nat or isolated on an int'],
    [{ gateway_mode_ipv4: 'nat' }, { ipv4: false }, 'gateway_mode_ipv4', 'none on a network without IPv4'],
    [{ inhibit_ipv4: true }, { ipv4: false }, 'inhibit_ipv4', 'none on a network without IPv4'],
    [
      { host_binding_ipv4: '127.0.0.1' },
      { ipv4: false },
      'host_binding_ipv4',
      'an IPv6 address on a network without IPv4',
    ],
    [{ '../host_ipv4': '192.0.2.1' }, { ipv4: false }, '../host_ipv4', 'none on a network without IPv4'],
    [{ gateway_mode_ipv6: 'nat' }, { ipv6: false }, 'gateway_mode_ipv6', 'none on a network without IPv6'],
    [{ host_binding_ipv4: '::1' }, { ipv6: false }, 'host_binding_ipv4', 'an IPv4 address on a network without IPv6'],
    [{ host_binding_ipv4: '127.0.0.1', gateway_mode_ipv4: 'routed' }, {}, 'host_binding_ipv4', 'none where ports are'],
    [{ trusted_host_interfaces: 'eth0' }, { internal: true }, 'trusted_host_interfaces', 'none on an internal network'],
    [
      { trusted_host_interfaces: 'eth0', gateway_mode_ipv4: 'routed', gateway_mode_ipv6: 'routed' },
      {},
      'trusted_host_interfaces',
      'none where no family has gateway mode nat',
    ],
    [{ '../host_ipv6': '2001:db8::1' }, { ipv6: false }, '../host_ipv6', 'none on a network without IPv6'],
    [{ '../host_ipv4': '192.0.2.1', enable_ip_masquerade: 'false' }, {}, '../host_ipv4', 'none where packets keep'],
    [{ '../host_ipv6': '2001:db8::1', gateway_mode_ipv6: 'routed' }, {}, '../host_ipv6', 'none where packets keep'],
  ])('refuse %j on a network with %j, with what would be right', (short, rest, name, expected) => {
    const full = (label: string): string => `com.docker.network.bridge.${label}`.replace('bridge.../', '')
    const options = Object.fromEntries(Object.entries(short).map(([label, value]) => [full(label), value]))
    const said = `invalid value ${JSON.stringify(options[full(name)])} of ${full(name)}: expected ${expected}`

    expect(() => check(options, [], rest)).toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_OPTION',
        message: expect.stringContaining(said) as unknown,
      }) as Error,
    )
  })

  it('refuse a bridge that another network has', () => {
    const options = { 'com.docker.network.bridge.name': 'br-lab' }

    expect(() => check(options, [network({ name: 'other', options: check(options) })])).toThrow(
      expect.objectContaining({
        code: 'ERR_BRIDGE_IN_USE',
        message: 'bridge br-lab belongs to network other',
      }) as Error,
    )
  })

  it('refuse to publish ports of an internal network', () => {
    const request = { name: 'endpoint1', options: {}, publishes: true }

    expect(() => driver.checkEndpoint(network({ internal: true }), request)).toThrow(
      expect.objectContaining({ code: 'ERR_INTERNAL_NETWORK', kind: 'bad-request' }) as Error,
    )
  })
})

describe('what the driver says of an endpoint', () => {
  it("is under libnetwork's names, and only where there is something to say", () => {
    expect(driver.describe(network(), endpoint())).toEqual({
      'com.docker.network.endpoint.macaddress': '02:42:ac:12:00:02',
    })
    expect(
      driver.describe(
        network(),
        endpoint({
          exposed: [{ protocol: 'tcp', port: 80 }],
          ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 8080 }],
        }),
      ),
    ).toEqual({
      'com.docker.network.endpoint.macaddress': '02:42:ac:12:00:02',
      'com.docker.network.endpoint.exposedports': [{ Proto: 6, Port: 80 }],
      'com.docker.network.portmap': [
        { Proto: 6, IP: '172.18.0.2', Port: 80, HostIP: '0.0.0.0', HostPort: 8080, HostPortEnd: 8080 },
        { Proto: 6, IP: 'fd00::2', Port: 80, HostIP: '::', HostPort: 8080, HostPortEnd: 8080 },
      ],
    })
  })
})
