import type { Flow, FlowFilter, FlowTuple, TuplePart } from './flow.ts'

/** The members of both tuples, and the bits of the status, that filters of one shape name. */
interface Shape {
  readonly original: readonly (keyof FlowTuple)[]
  readonly reply: readonly (keyof FlowTuple)[]
  readonly statusMask: number
  /** What these are to be, and among which the port that the first packet was sent to. */
  readonly wanted: Map<string, (NonNullable<FlowFilter['destinationPorts']> | 'any')[]>
}

/** Says whether a flow passes one of `filters`: one look-up for each shape of filter, however many there are of it. */
export function flowMatcher(filters: readonly FlowFilter[]): (flow: Flow) => boolean {
  const shapes = new Map<string, Shape>()
  for (const { family, original = {}, reply = {}, status, destinationPorts = 'any' } of filters) {
    const named = { original: namesIn(original), reply: namesIn(reply), statusMask: status?.mask ?? 0 }
    const key = JSON.stringify(named)
    const shape: Shape = shapes.get(key) ?? { ...named, wanted: new Map() }
    shapes.set(key, shape)
    const values = valuesOf(shape, { family, original, reply, status: status?.value ?? 0 })
    shape.wanted.set(values, [...(shape.wanted.get(values) ?? []), destinationPorts])
  }
  return (flow) =>
    [...shapes.values()].some((shape) => {
      const ports = shape.wanted.get(valuesOf(shape, flow)) ?? []
      return ports.some((range) => range === 'any' || isWithin(range, flow.original.destinationPort))
    })
}

function isWithin({ first, last }: { readonly first: number; readonly last: number }, port = 0): boolean {
  return first <= port && port <= last
}

function namesIn(tuple: TuplePart): (keyof FlowTuple)[] {
  return memberNames.filter((name) => tuple[name] !== undefined)
}

const memberNames = ['source', 'destination', 'protocol', 'sourcePort', 'destinationPort'] as const

interface Values extends Pick<Flow, 'family' | 'status'> {
  readonly original: TuplePart
  readonly reply: TuplePart
}

function valuesOf(shape: Shape, { family, original, reply, status }: Values): string {
  const values = [...shape.original.map((name) => original[name]), ...shape.reply.map((name) => reply[name])]
  return `${family} ${status & shape.statusMask} ${values.join(' ')}`
}
