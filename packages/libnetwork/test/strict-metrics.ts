/** A family of metrics, as it was read. */
export interface ReadFamily {
  readonly type: string
  readonly samples: ReadonlyMap<string, number>
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const LABELS = /^[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"(?:,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*")*$/
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  gauge: [''],
  counter: ['_total'],
  histogram: ['_bucket', '_count', '_sum'],
}

/** Reads the text of OpenMetrics 1.0, and refuses whatever the specification does not allow. */
export function readMetrics(text: string): Map<string, ReadFamily> {
  if (!text.endsWith('\n# EOF\n') || text.indexOf('# EOF') !== text.length - 6)
    throw new Error('no end, or more than one')
  const families = new Map<string, { type: string; samples: Map<string, number> }>()
  let name = ''
  for (const line of text.slice(0, -7).split('\n')) {
    const [, keyword, subject = '', rest = ''] = /^# (TYPE|UNIT|HELP) (\S+) (.+)$/.exec(line) ?? []
    if (keyword === 'TYPE') {
      if (!NAME.test(subject) || families.has(subject) || !(rest in SUFFIXES)) throw new Error(`bad family: ${line}`)
      if (subject.endsWith('_total')) throw new Error(`a family of this name: ${line}`)
      name = subject
      families.set(name, { type: rest, samples: new Map() })
    } else if (keyword !== undefined) {
      if (subject !== name) throw new Error(`not of family ${name}: ${line}`)
      if (keyword === 'UNIT' && !name.endsWith(`_${rest}`)) throw new Error(`no unit of this name: ${line}`)
    } else {
      readSample(line, name, families.get(name))
    }
  }
  for (const family of families.values()) if (family.type === 'histogram') checkHistogram(family.samples)
  return families
}

function readSample(
  line: string,
  name: string,
  family: { type: string; samples: Map<string, number> } | undefined,
): void {
  const [, full = '', labels, number = ''] = SAMPLE.exec(line) ?? []
  const suffix = full.slice(name.length)
  if (family === undefined || !full.startsWith(name) || SUFFIXES[family.type]?.includes(suffix) !== true) {
    throw new Error(`no sample of family ${name}: ${line}`)
  }
  if (labels !== undefined && !LABELS.test(labels)) throw new Error(`bad labels: ${line}`)
  const key = `${suffix}${labels === undefined ? '' : `{${labels}}`}`
  const value = Number(number)
  if (family.samples.has(key) || !Number.isFinite(value)) throw new Error(`twice, or no number: ${line}`)
  if (family.type !== 'gauge' && value < 0) throw new Error(`less than nothing: ${line}`)
  family.samples.set(key, value)
}

function checkHistogram(samples: ReadonlyMap<string, number>): void {
  const buckets = [...samples].filter(([key]) => key.startsWith('_bucket'))
  const counts = buckets.map(([, value]) => value)
  if (counts.some((count, at) => count < (counts[at - 1] ?? 0))) throw new Error('buckets that do not add up')
  if (buckets.at(-1)?.[0] !== '_bucket{le="+Inf"}') throw new Error('no bucket without bound')
  if (counts.at(-1) !== samples.get('_count')) throw new Error('a count that is not that of the last bucket')
}
