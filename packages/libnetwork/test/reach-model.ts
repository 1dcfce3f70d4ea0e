import { hostAddress } from './reach-lab.ts'

export type Family = 4 | 6
export type GatewayMode = 'nat' | 'nat-unprotected' | 'routed' | 'isolated'

/** What is chosen about a network. */
export interface Choice {
  readonly modes: Readonly<Record<Family, GatewayMode>>
  /** Whether its containers may speak with each other. */
  readonly icc: boolean
  readonly internal: boolean
  /** The host's address where ports are published that name none. */
  readonly binding?: string
}

/** What is chosen about the controller. */
export type UserlandProxy = 'auto' | 'off'

const both = (mode: GatewayMode): Choice['modes'] => ({ 4: mode, 6: mode })
const open = { icc: true, internal: false }
const closed = { icc: true, internal: true }

const networks: readonly Choice[] = [
  ...(['nat', 'nat-unprotected'] as const).flatMap((mode) => [
    { ...open, modes: both(mode) },
    ...['127.0.0.1', hostAddress[6]].map((binding) => ({ ...open, modes: both(mode), binding })),
  ]),
  // With routed ports an address of the host is refused.
  { ...open, modes: both('routed') },
  { ...open, modes: { 4: 'nat', 6: 'routed' } },
  { ...open, modes: { 4: 'routed', 6: 'nat-unprotected' } },
  // Ports of internal networks are not published.
  { ...closed, modes: both('nat') },
  { ...closed, modes: both('isolated') },
  { ...closed, modes: { 4: 'isolated', 6: 'nat' } },
]

/** All that can be chosen about a network, each with inter-container communication and without. */
export const choices: readonly Choice[] = networks.flatMap((choice) => [choice, { ...choice, icc: false }])

/** A network in words: `nat, no icc, at 127.0.0.1`. */
export function titleOf({ modes, icc, internal, binding }: Choice): string {
  return [
    modes[4] === modes[6] ? modes[4] : `${modes[4]}/${modes[6]}`,
    ...(icc ? [] : ['no icc']),
    ...(internal ? ['internal'] : []),
    ...(binding === undefined ? [] : [`at ${binding}`]),
  ].join(', ')
}

/** Whether packet rules lead a port of the host to the container. */
function isPublished(family: Family, { modes, internal, binding }: Choice): boolean {
  if (internal || !['nat', 'nat-unprotected'].includes(modes[family])) return false
  return binding === undefined || binding.includes(':') === (family === 6)
}

/** At an address that others than the host itself can ask. */
const isPublic = (family: Family, choice: Choice): boolean =>
  isPublished(family, choice) && choice.binding !== '127.0.0.1'

/**
 * Who is promised to get through: by what is written of the options, not by how it is done. `own` is the container's
 * own address, `web` its port that is published, `other` one that is not; `host` is the published port of the host.
 */
export const promises = {
  'outside>own web': (family, { modes }) => ['routed', 'nat-unprotected'].includes(modes[family]),
  'outside>own other': (family, { modes }) => modes[family] === 'nat-unprotected',
  'outside>host': isPublic,
  // Networks are closed to each other, but for what is published and what is routed.
  'network2>own web': (family, { modes }) => modes[family] === 'routed',
  'network2>own other': () => false,
  'network2>host': isPublic,
  'peer>own other': (_, { icc }) => icc,
  'peer>host': isPublic,
  'host>own other': (family, { modes }) => modes[family] !== 'isolated',
  // Where it is published: an address that is the host's alone will do.
  'host>host': isPublished,
  // 127.0.0.1 is one of the host's addresses to the rules. ::1 is nobody's but the proxy's, which takes what it is
  // given to whichever of the container's addresses has the port.
  'host>loopback': (family, choice, proxy) =>
    family === 4
      ? isPublished(4, choice)
      : proxy === 'auto' && choice.binding === undefined && (isPublished(4, choice) || isPublished(6, choice)),
  'web>outside': (_, { internal }) => !internal,
} satisfies Record<string, (family: Family, choice: Choice, proxy: UserlandProxy) => boolean>

export type Way = keyof typeof promises
export const ways = Object.keys(promises) as Way[]

/** The families of those that get through: `46`, `4-`, `-6` or `--`. */
export type Cell = string

export function cellOf(four: boolean, six: boolean): Cell {
  return `${four ? '4' : '-'}${six ? '6' : '-'}`
}

/** What the model says of every choice, as a table. */
export function promised(proxy: UserlandProxy): string {
  return tableOf(choices.map((choice) => ways.map((way) => promisedCell(way, choice, proxy))))
}

function promisedCell(way: Way, choice: Choice, proxy: UserlandProxy): Cell {
  const keeps: (family: Family, choice: Choice, proxy: UserlandProxy) => boolean = promises[way]
  return cellOf(keeps(4, choice, proxy), keeps(6, choice, proxy))
}

/** A row for each choice, a column for each way. */
export function tableOf(rows: readonly (readonly Cell[])[]): string {
  const widths = ways.map((way) => way.length + 2)
  const line = (title: string, cells: readonly string[]): string =>
    `${title.padEnd(42)}${cells.map((text, at) => text.padStart(widths[at] ?? 0)).join('')}`
  return [line('', ways), ...choices.map((choice, at) => line(titleOf(choice), rows[at] ?? [])), ''].join('\n')
}
