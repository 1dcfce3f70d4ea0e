import { headerFlags, recordTypes } from './dns-codes.ts'
import { readMessage, viewOf, type RecordSpan } from './message.ts'

const countsAt = { answer: 6, authority: 8, additional: 10 } as const

/**
 * `bytes` itself where it is no longer than `limit`; else the same answer without its last records.
 * It says that it was cut (TC) when more than additional records are missing, so that the asker comes
 * again by TCP. Its OPT record stays, where it fits.
 *
 * @throws MalformedDnsMessageError (`ERR_MALFORMED_DNS_MESSAGE`) when `bytes` is no message
 */
export function fitMessage(bytes: Uint8Array, limit: number): Uint8Array {
  if (bytes.length <= limit) return bytes
  const { records, questionEnd } = readMessage(bytes)
  // One with so many options that nothing fits beside it says nothing that is needed.
  const opt = records.find((record) => isOpt(record) && questionEnd + record.end - record.start <= limit)
  const optBytes = opt === undefined ? 0 : opt.end - opt.start
  const others = records.filter((record) => !isOpt(record))
  const kept = others.slice(0, countFitting(others, questionEnd, limit - optBytes))
  const end = kept.at(-1)?.end ?? questionEnd
  const cut = new Uint8Array(end + optBytes)
  cut.set(bytes.subarray(0, end))
  if (opt !== undefined) cut.set(bytes.subarray(opt.start, opt.end), end)
  writeCounts(cut, kept, opt)
  if (others.slice(kept.length).some(({ section }) => section !== 'additional')) setTruncated(cut)
  return cut
}

function isOpt({ type }: RecordSpan): boolean {
  return type === recordTypes.OPT
}

/** How many records behind `start` end before `limit`. One that follows OPT would move, so none of those stay. */
function countFitting(records: readonly RecordSpan[], start: number, limit: number): number {
  let end = start
  let count = 0
  for (const record of records) {
    if (record.start !== end || record.end > limit) break
    end = record.end
    count++
  }
  return count
}

function writeCounts(bytes: Uint8Array, kept: readonly RecordSpan[], opt: RecordSpan | undefined): void {
  const view = viewOf(bytes)
  for (const [section, at] of Object.entries(countsAt)) {
    const extra = section === 'additional' && opt !== undefined ? 1 : 0
    view.setUint16(at, kept.filter((record) => record.section === section).length + extra)
  }
}

function setTruncated(bytes: Uint8Array): void {
  const view = viewOf(bytes)
  view.setUint16(2, view.getUint16(2) | headerFlags.truncated)
}
