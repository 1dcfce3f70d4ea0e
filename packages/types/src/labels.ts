/** Names of labels that libnetwork gave a meaning to. */
export const labels = {
  prefix: 'com.docker.network',
  gateway: 'com.docker.network.gateway',
  ipamSerial: 'com.docker.network.ipam.serial',
  requestAddressType: 'RequestAddressType',
  macAddress: 'com.docker.network.endpoint.macaddress',
  exposedPorts: 'com.docker.network.endpoint.exposedports',
  portMap: 'com.docker.network.portmap',
  interfaceName: 'com.docker.network.endpoint.ifname',
  mtu: 'com.docker.network.driver.mtu',
  containerInterfacePrefix: 'com.docker.network.container_iface_prefix',
} as const

/** Takes `name=value` apart at the first `=`; without one the value is empty. */
export function parseLabel(label: string): { readonly name: string; readonly value: string } {
  const at = label.indexOf('=')
  return at < 0 ? { name: label, value: '' } : { name: label.slice(0, at), value: label.slice(at + 1) }
}
