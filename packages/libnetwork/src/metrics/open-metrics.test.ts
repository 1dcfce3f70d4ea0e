import { expect, it } from 'vitest'
import { readMetrics } from '../../test/strict-metrics.ts'
import { Histogram } from './histogram.ts'
import { formatMetrics } from './open-metrics.ts'

it('writes families as the specification has them', () => {
  const text = formatMetrics([
    { name: 'net_x', type: 'gauge', help: 'How "many"\nthere are \\ were.', samples: [{ value: 3 }] },
    {
      ...{ name: 'net_y', type: 'counter', help: 'All.' },
      samples: [{ suffix: '_total', labels: { kind: 'a"b\\c\nd' }, value: 1.5 }],
    },
  ])

  expect(text).toBe(
    [
      '# TYPE net_x gauge',
      '# HELP net_x How \\"many\\"\\nthere are \\\\ were.',
      'net_x 3',
      '# TYPE net_y counter',
      '# HELP net_y All.',
      'net_y_total{kind="a\\"b\\\\c\\nd"} 1.5',
      '# EOF',
      '',
    ].join('\n'),
  )
  expect(readMetrics(text).get('net_x')?.samples.get('')).toBe(3)
})

it('counts durations in buckets that add up', async () => {
  const histogram = new Histogram()
  for (const seconds of [0.0005, 0.001, 0.3, 60]) histogram.observe(seconds)
  await expect(histogram.time(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  const family = { name: 'net_x_seconds', type: 'histogram', unit: 'seconds', help: 'Long.' } as const
  const read = readMetrics(formatMetrics([{ ...family, samples: histogram.samples() }])).get('net_x_seconds')?.samples

  expect(read?.get('_bucket{le="0.001"}')).toBe(2)
  expect(read?.get('_bucket{le="0.5"}')).toBe(3)
  expect(read?.get('_bucket{le="5.0"}')).toBe(3)
  expect(read?.get('_count')).toBe(4)
  expect(read?.get('_sum')).toBeCloseTo(60.3015)
})
