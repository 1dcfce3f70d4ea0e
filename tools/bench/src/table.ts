import type { Measurement } from './measure.ts'

/** Above the first line of the table. */
export const heading = `${'what'.padEnd(30)}${'ours'.padStart(12)}${'floor'.padStart(12)}${'ratio'.padStart(8)}  peers`

/** A measurement as a line of the table. */
export function formatMeasurement({ name, unit, ours, floor, peers = {}, note }: Measurement): string {
  const value = (number: number): string =>
    `${number.toFixed(unit === 'us' && number >= 10 ? 1 : 2)} ${unit === 'us' ? 'µs' : unit}`
  const ratio = floor === undefined ? '' : (ours / floor).toFixed(2)
  const others = Object.entries(peers).map(([peer, number]) => `${peer}: ${value(number)}`)
  if (note !== undefined) others.push(note)
  return `${name.padEnd(30)}${value(ours).padStart(12)}${(floor === undefined ? '' : value(floor)).padStart(12)}${ratio.padStart(8)}  ${others.join(', ')}`.trimEnd()
}
