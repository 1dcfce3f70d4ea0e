// A network plugin for tests, as anybody may write one: each network a bridge, each endpoint a veth on it, made with `ip`
// when it joins. What it was told it appends to a log, a line each.
import { execFileSync } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { serveDriver } from '@net/drivers-remote'

const [path, log] = process.argv.slice(2)
const ip = (...args) => execFileSync('ip', args, { stdio: 'pipe' })
const tell = (...words) => appendFileSync(log, `${words.join(' ')}\n`)
const bridgeOf = (networkId) => `plug-${networkId.slice(0, 8)}`
const nearOf = (endpointId) => `pn${endpointId.slice(0, 10)}`
const farOf = (endpointId) => `pf${endpointId.slice(0, 10)}`

/** What is gone already is gone. */
function remove(link) {
  try {
    ip('link', 'delete', link)
  } catch {
    tell('no-such-link', link)
  }
}

/** Kept nowhere but in the kernel: the plugin may be killed. */
function gatewayOf(networkId) {
  const [bridge] = JSON.parse(ip('-json', '-4', 'addr', 'show', 'dev', bridgeOf(networkId)))
  return bridge.addr_info[0].local
}

const addresses = new Map()

/** Gateways of networks whose addresses are left to the plugin, by the pool that stands for them. */
const OWN_GATEWAYS = { '0.0.0.0/0': '192.168.99.1/24', '::/0': 'fd99::1/64' }

/** The addresses of an endpoint that has none yet. */
function chooseAddresses(number) {
  return { address: `192.168.99.${number}/24`, address6: `fd99::${number}/64` }
}

await serveDriver(
  {
    async createNetwork({ networkId, ipv4, ipv6, options }) {
      tell('createNetwork', networkId, JSON.stringify(options['com.docker.network.generic']))
      const bridge = bridgeOf(networkId)
      ip('link', 'add', bridge, 'type', 'bridge')
      for (const { addressSpace, pool, gateway } of [...ipv4, ...ipv6]) {
        const address = gateway ?? OWN_GATEWAYS[pool]
        if (gateway === undefined) tell('addressless', addressSpace, pool)
        ip('addr', 'add', address, 'dev', bridge, ...nodad(address))
      }
      ip('link', 'set', bridge, 'up')
    },
    async deleteNetwork(networkId) {
      tell('deleteNetwork', networkId)
      remove(bridgeOf(networkId))
    },
    async createEndpoint({ endpointId, interface: { address } }) {
      tell('createEndpoint', endpointId, address)
      const chosen = address === undefined ? chooseAddresses(addresses.size + 2) : {}
      addresses.set(endpointId, address ?? chosen.address)
      return { ...chosen, macAddress: '02:50:00:00:00:' + endpointId.slice(0, 2) }
    },
    async deleteEndpoint({ endpointId }) {
      tell('deleteEndpoint', endpointId)
    },
    async join({ networkId, endpointId, sandboxKey, options }) {
      tell('join', endpointId, sandboxKey, JSON.stringify(options))
      const near = nearOf(endpointId)
      ip('link', 'add', near, 'type', 'veth', 'peer', 'name', farOf(endpointId))
      ip('link', 'set', near, 'master', bridgeOf(networkId), 'up')
      return {
        interface: { hostName: farOf(endpointId), prefix: 'plug' },
        gateway: gatewayOf(networkId),
        routes: [{ destination: '198.51.100.0/24' }],
      }
    },
    async leave({ endpointId }) {
      tell('leave', endpointId)
      remove(nearOf(endpointId))
    },
    async endpointInfo({ endpointId }) {
      return { 'com.example.address': addresses.get(endpointId) ?? 'forgotten', 'com.example.port': nearOf(endpointId) }
    },
    async programExternalConnectivity({ endpointId }) {
      tell('gateway', endpointId)
    },
    async revokeExternalConnectivity({ endpointId }) {
      tell('no-gateway', endpointId)
    },
  },
  { path },
)
console.log('ready')

function nodad(address) {
  return address.includes(':') ? ['nodad'] : []
}
