import type { Flow, FlowFilter, FlowTuple, TuplePart } from './flow.ts'

/** The members of both tuples, and the bits of the status, that filters of one shape name. */
interface Shape {
  readonly original: readonly (keyof FlowTuple)[]
  readonly reply: readonly (keyof FlowTuple)[]
  readonly statusMask: number
  /** What these are to be. */
  readonly wanted: Set<string>
}

/** Says whether a flow passes one of `filters`: one look-up for each shape of filter, however many there are of it. */
export function flowMatcher(filters: readonly FlowFilter[]): (flow: Flow) => boolean {
  const shapes = new Map<string, Shape>()
  for (const { family, original = {}, reply = {}, status } of filters) {
    const named = { original: namesIn(original), reply: namesIn(reply), statusMask: status?.mask ?? 0 }
    const key = JSON.stringify(named)
    const shape = shapes.get(key) ?? { ...named, wanted: new Set() }
    shapes.set(key, shape)
    shape.wanted.add(valuesOf(shape, { family, original, reply, status: status?.value ?? 0 }))
  }
  return (flow) => [...shapes.values()].some((shape) => shape.wanted.has(valuesOf(shape, flow)))
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
