/** One end of a veth: in a container, or in the outside client. */
export interface Station {
  readonly name: string
  readonly interfaceName: string
  /** Name of the veth's end on the host. */
  readonly hostInterfaceName: string
  readonly addresses: readonly string[]
}

/** A bridge with those on it. */
export interface Segment {
  readonly name: string
  /** What is written below its name: the bridge, its addresses. */
  readonly lines: readonly string[]
  readonly stations: readonly Station[]
}

/** All that the picture shows. */
export interface Topology {
  /** What is written in the host beside the outside client. */
  readonly hostLines: readonly string[]
  readonly outside: Station
  readonly segments: readonly Segment[]
  /** What is written at the bottom of the host. */
  readonly published: readonly string[]
}

/** What a row of the picture shows left of the host's border, on it, and right of it. */
interface Row {
  readonly left: string
  /** The cable that leaves the host in this row. */
  readonly cable?: Station | undefined
  readonly right: string
}

/** Draws the host with its bridges on the left, and on the right what hangs on them. */
export function drawTopology({ hostLines, outside, segments, published }: Topology): string[] {
  const stations = [outside, ...segments.flatMap((segment) => segment.stations)]
  const stationWidth = widest(stations.flatMap(({ name, addresses }) => [`${name} `, ...addresses])) + 4
  const segmentWidth = widest(segments.flatMap(({ name, lines }) => [`${name} `, ...lines])) + 4
  const rows = [
    ...besides(hostLines, outside, stationWidth),
    ...segments.flatMap((segment) => segmentRows(segment, segmentWidth, stationWidth)),
    ...published.map((left) => ({ left, right: '' })),
  ]
  const hostWidth = widest([...rows.map(({ left }) => left), 'host ']) + 4
  const cableWidth = Math.max(...stations.map((station) => cableOf(station).length))
  return [
    border('host', hostWidth, '┌', '┐'),
    ...rows.map((row) => drawRow(row, hostWidth - 4, cableWidth)),
    border('', hostWidth, '└', '┘'),
  ].map((line) => line.trimEnd())
}

function drawRow({ left, cable, right }: Row, width: number, cableWidth: number): string {
  const gap = ' '.repeat(cableWidth)
  if (cable === undefined) return `│ ${left.padEnd(width)} │${gap}${right}`
  // The cable comes out of a bridge's box, or out of the host itself.
  const leavesBox = left.endsWith('├')
  const inner = left.padEnd(width, leavesBox ? '─' : ' ')
  return `│ ${inner}${leavesBox ? '─┼' : ' ├'}${fill(cableOf(cable), cableWidth)}${right}`
}

/** Rows of plain text in the host, with the station that hangs on its second row. */
function besides(lines: readonly string[], station: Station, width: number): Row[] {
  const box = stationBox(station, width)
  return Array.from({ length: Math.max(box.length, lines.length + 1) }, (_, at) => ({
    left: at === 0 ? '' : (lines[at - 1] ?? ''),
    cable: at === 1 ? station : undefined,
    right: box[at] ?? '',
  }))
}

/** The box of a bridge, as high as those of its stations together. */
function segmentRows({ name, lines, stations }: Segment, width: number, stationWidth: number): Row[] {
  const boxes = stations.flatMap((station) =>
    stationBox(station, stationWidth).map((right, at) => ({ right, cable: at === 1 ? station : undefined })),
  )
  const height = Math.max(boxes.length, lines.length + 2)
  return Array.from({ length: height }, (_, at) => {
    const { cable, right } = boxes[at] ?? { cable: undefined, right: '' }
    if (at === 0) return { left: border(name, width, '┌', '┐'), right }
    if (at === height - 1) return { left: border('', width, '└', '┘'), right }
    const text = (lines[at - 1] ?? '').padEnd(width - 4)
    return { left: `│ ${text} ${cable === undefined ? '│' : '├'}`, cable, right }
  })
}

/** Its second row is where the cable comes in. */
function stationBox({ name, addresses }: Station, width: number): string[] {
  return [
    border(name, width, '┌', '┐'),
    ...addresses.map((address, at) => `${at === 0 ? '┤' : '│'} ${address.padEnd(width - 4)} │`),
    border('', width, '└', '┘'),
  ]
}

function cableOf({ hostInterfaceName, interfaceName }: Station): string {
  return ` ${hostInterfaceName} ─ ${interfaceName} `
}

/** Stretches a cable in its middle. */
function fill(cable: string, width: number): string {
  return cable.replace('─', '─'.repeat(1 + width - cable.length))
}

function border(title: string, width: number, left: string, right: string): string {
  const text = title === '' ? '' : ` ${title} `
  return `${left}${text}${'─'.repeat(width - 2 - text.length)}${right}`
}

function widest(lines: readonly string[]): number {
  return Math.max(0, ...lines.map((line) => line.length))
}
