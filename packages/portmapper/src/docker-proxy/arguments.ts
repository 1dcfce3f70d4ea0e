import { isIP } from 'node:net'
import { isProtocol } from '@net/types'
import { InvalidArgumentError } from '../errors.ts'
import type { Forward } from '../forward.ts'

/** What a proxy is started for. */
export type Purpose =
  | { readonly kind: 'version' }
  /** One forward, as docker-proxy serves it. */
  | { readonly kind: 'forward'; readonly forward: Forward; readonly usesListenFd: boolean }
  /** All forwards of a controller. */
  | { readonly kind: 'control'; readonly folder: string; readonly endsWithClient: boolean }

const switches = ['v', 'version', 'use-listen-fd', 'ends-with-client']
const values = ['proto', 'host-ip', 'host-port', 'container-ip', 'container-port', 'control']

/**
 * Reads flags as docker-proxy does: `-flag value` or `-flag=value`, one dash or two.
 *
 * @throws InvalidArgumentError (`ERR_INVALID_ARGUMENT`)
 */
export function parseArguments(args: readonly string[]): Purpose {
  const flags = flagsOf(args)
  const folder = flags.get('control')
  if (isOn(flags, 'v') || isOn(flags, 'version')) return { kind: 'version' }
  if (folder !== undefined) return { kind: 'control', folder, endsWithClient: isOn(flags, 'ends-with-client') }
  return { kind: 'forward', forward: forwardOf(flags), usesListenFd: isOn(flags, 'use-listen-fd') }
}

function flagsOf(args: readonly string[]): Map<string, string> {
  const flags = new Map<string, string>()
  const rest = args[Symbol.iterator]()
  for (const argument of rest) {
    const [, name, value] = /^--?([a-z][a-z-]*)(?:=(.*))?$/.exec(argument) ?? []
    if (name === undefined || !(switches.includes(name) || values.includes(name))) {
      throw new InvalidArgumentError(`flag provided but not defined: ${argument}`)
    }
    flags.set(name, value ?? (switches.includes(name) ? 'true' : valueOf(name, rest)))
  }
  return flags
}

function valueOf(name: string, rest: Iterator<string, undefined>): string {
  const next = rest.next()
  if (next.done === true) throw new InvalidArgumentError(`flag needs an argument: -${name}`)
  return next.value
}

function isOn(flags: ReadonlyMap<string, string>, name: string): boolean {
  return ['true', 't', '1'].includes(flags.get(name)?.toLowerCase() ?? '')
}

function forwardOf(flags: ReadonlyMap<string, string>): Forward {
  const protocol = flags.get('proto') ?? 'tcp'
  if (!isProtocol(protocol)) throw new InvalidArgumentError(`unsupported protocol ${protocol}`)
  return {
    protocol,
    address: addressOf(flags, 'host-ip', '::'),
    port: portOf(flags, 'host-port'),
    containerAddress: addressOf(flags, 'container-ip', ''),
    containerPort: portOf(flags, 'container-port'),
  }
}

function addressOf(flags: ReadonlyMap<string, string>, name: string, fallback: string): string {
  const text = flags.get(name) ?? fallback
  if (isIP(text) === 0)
    throw new InvalidArgumentError(`invalid value ${JSON.stringify(text)} for flag -${name}: expected an address`)
  return text
}

function portOf(flags: ReadonlyMap<string, string>, name: string): number {
  const text = flags.get(name) ?? '-1'
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new InvalidArgumentError(`invalid value ${JSON.stringify(text)} for flag -${name}: expected a port`)
}
