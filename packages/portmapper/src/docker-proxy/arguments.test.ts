import { describe, expect, it } from 'vitest'
import { parseArguments } from './arguments.ts'

const full = '-proto udp -host-ip 127.0.0.1 -host-port 5353 -container-ip 172.17.0.2 -container-port 53'
const forward = {
  protocol: 'udp',
  address: '127.0.0.1',
  port: 5353,
  containerAddress: '172.17.0.2',
  containerPort: 53,
}

describe('flags', () => {
  it.each([
    full,
    full.replaceAll(/-([a-z-]+) (\S+)/g, '-$1=$2'),
    full.replaceAll(/-([a-z-]+) (\S+)/g, '--$1 $2'),
    `${full} -use-listen-fd=false`,
  ])("are docker-proxy's, in each way of writing them: %s", (line) => {
    expect(parseArguments(line.split(' '))).toEqual({ kind: 'forward', forward, usesListenFd: false })
  })

  it('have its defaults', () => {
    expect(parseArguments('-host-port 80 -container-ip fd00::2 -container-port 80 -use-listen-fd'.split(' '))).toEqual({
      kind: 'forward',
      forward: { protocol: 'tcp', address: '::', port: 80, containerAddress: 'fd00::2', containerPort: 80 },
      usesListenFd: true,
    })
  })

  it.each(['-v', '--version', `${full} -v`])('ask for the version: %s', (line) => {
    expect(parseArguments(line.split(' '))).toEqual({ kind: 'version' })
  })

  it('name the folder of a controller', () => {
    expect(parseArguments(['--control', '/run/x', '--ends-with-client'])).toEqual({
      kind: 'control',
      folder: '/run/x',
      endsWithClient: true,
    })
  })

  it.each([
    [`${full} -proto icmp`, 'unsupported protocol icmp'],
    [`${full} -host-ip localhost`, 'invalid value "localhost" for flag -host-ip'],
    [`${full} -host-port -1`, 'invalid value "-1" for flag -host-port'],
    [`${full} -container-port 65536`, 'invalid value "65536" for flag -container-port'],
    ['-host-port 80 -container-port 80', 'invalid value "" for flag -container-ip'],
    ['-host-ip 127.0.0.1', 'invalid value "-1" for flag -host-port'],
    ['-host-port', 'flag needs an argument: -host-port'],
    ['-shell sh', 'flag provided but not defined: -shell'],
    ['sh', 'flag provided but not defined: sh'],
  ])('are refused: %s', (line, message) => {
    expect(() => parseArguments(line.split(' '))).toThrow(message)
  })
})
