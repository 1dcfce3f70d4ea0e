/** What a scraper is told that the text is: OpenMetrics 1.0. */
export const OPEN_METRICS_CONTENT_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

/** A value, and what tells it from the others of its family. */
export interface Sample {
  /** What comes behind the family's name: `_total`, `_bucket`. @defaultValue nothing */
  readonly suffix?: '_total' | '_bucket' | '_count' | '_sum' | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  readonly value: number
}

/** Numbers that belong together. */
export interface MetricFamily {
  readonly name: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  /** The name ends with it. */
  readonly unit?: 'seconds' | undefined
  readonly help: string
  readonly samples: readonly Sample[]
}

/** The text of OpenMetrics 1.0, as a scraper reads it. */
export function formatMetrics(families: readonly MetricFamily[]): string {
  return [...families.flatMap(formatFamily), '# EOF', ''].join('\n')
}

function formatFamily({ name, type, unit, help, samples }: MetricFamily): string[] {
  return [
    `# TYPE ${name} ${type}`,
    ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
    `# HELP ${name} ${escape(help)}`,
    ...samples.map(({ suffix = '', labels = {}, value }) => `${name}${suffix}${formatLabels(labels)} ${value}`),
  ]
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
