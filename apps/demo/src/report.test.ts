import { describe, expect, it } from 'vitest'
import { jsonOutput } from './json-output.ts'
import { describeError, Recorder, type Output, type Result } from './report.ts'
import { textOutput, wantsColours } from './text-output.ts'

const silent: Output = {
  heading: () => undefined,
  step: () => undefined,
  check: () => undefined,
  lines: () => undefined,
  notice: () => undefined,
  result: () => undefined,
}
const result: Result = {
  checks: [
    { name: 'one reaches two', ok: true, detail: 'hello' },
    { name: 'two reaches one', ok: false, detail: 'timeout' },
  ],
  timings: [{ name: 'one reaches two', ms: 1.5 }],
  leftovers: ['link br-1 (7)'],
}

describe('a recorder', () => {
  it('measures a step and hands on what it made', async () => {
    const recorder = new Recorder(silent, new AbortController().signal)

    expect(await recorder.step('add', () => 1 + 1)).toBe(2)
    expect(recorder.timings).toEqual([{ name: 'add', ms: expect.any(Number) as number }])
    expect(recorder.checks).toEqual([])
  })

  it('records a step that fails as a failed check, and throws on', async () => {
    const recorder = new Recorder(silent, new AbortController().signal)
    const failing = recorder.step('add', () => Promise.reject(new Error('no')))

    await expect(failing).rejects.toThrow('no')
    expect(recorder.checks).toEqual([{ name: 'add', ok: false, detail: 'no' }])
    expect(recorder.allHold).toBe(false)
  })

  it('does not blame a step that was given up', async () => {
    const recorder = new Recorder(silent, AbortSignal.abort(new Error('given up')))

    await expect(recorder.step('add', () => Promise.reject(new Error('given up')))).rejects.toThrow('given up')
    expect(recorder.checks).toEqual([])
  })

  it('blames a step of the teardown in any case', async () => {
    const recorder = new Recorder(silent, AbortSignal.abort())

    await expect(recorder.undo('remove', () => Promise.reject(new Error('busy')))).rejects.toThrow('busy')
    expect(recorder.checks).toEqual([{ name: 'remove', ok: false, detail: 'busy' }])
  })

  it('looks at everything at once and reports in order', async () => {
    const recorder = new Recorder(silent, new AbortController().signal)
    let answerFirst: () => void = () => undefined
    const first = new Promise<void>((resolve) => (answerFirst = resolve))

    await recorder.check(
      { name: 'first', look: () => first.then(() => ({ ok: true, detail: '' })) },
      {
        name: 'second',
        look: () => {
          answerFirst()
          return Promise.resolve({ ok: false, detail: 'no' })
        },
      },
    )

    expect(recorder.checks.map(({ name }) => name)).toEqual(['first', 'second'])
    expect(recorder.timings.map(({ name }) => name)).toEqual(['first', 'second'])
  })
})

it('describes an error with its causes and parts', () => {
  const error = new AggregateError([new Error('one', { cause: new Error('two') }), 'three'], 'all')

  expect(describeError(error)).toBe('all; one (two); three')
})

it('writes one JSON object to stdout, and what cannot wait to stderr', () => {
  let stdout = ''
  let stderr = ''
  const output = jsonOutput(
    (text) => (stdout += text),
    (text) => (stderr += text),
  )

  output.heading('Reach')
  output.lines(['picture'])
  output.notice('look inside')
  output.result(result, 'complete')

  expect(JSON.parse(stdout)).toEqual(result)
  expect(stderr).toBe('look inside\n')
})

describe('the report in text', () => {
  const written = (colours: boolean, write: (output: Output) => void): string => {
    let text = ''
    write(textOutput((part) => (text += part), { colours }))
    return text
  }

  it('marks checks, and says what they took', () => {
    const text = written(false, (output) => {
      for (const check of result.checks) output.check(check, 2)
    })

    expect(text).toBe('  ✓ one reaches two    hello  2 ms\n  ✗ two reaches one    timeout  2 ms\n')
  })

  it('counts what failed and names what is left', () => {
    const text = written(false, (output) => {
      output.result(result, 'complete')
    })

    expect(text).toBe('  ✗ left behind: link br-1 (7)\n\n1 of 2 checks failed; 1 thing is left behind.\n')
  })

  it('says that it was interrupted', () => {
    const text = written(false, (output) => {
      output.result({ checks: [], timings: [], leftovers: [] }, 'interrupted')
    })

    expect(text).toBe('\nInterrupted. 0 of 0 checks hold; nothing is left behind.\n')
  })

  it('has colours where they are wanted', () => {
    const text = written(true, (output) => {
      output.heading('Reach')
    })

    expect(text).toBe('\n\u001b[1mReach\u001b[0m\n')
  })

  it.each([
    [true, {}, true],
    [true, { NO_COLOR: '' }, true],
    [true, { NO_COLOR: '1' }, false],
    [false, {}, false],
  ])('wants them: terminal %s, environment %j: %s', (isTerminal, environment, wanted) => {
    expect(wantsColours(isTerminal, environment)).toBe(wanted)
  })
})
