import type { Write } from './json-output.ts'
import type { Output, Result } from './report.ts'

type Style = (text: string) => string

/** The report for a reader, as it comes. */
export function textOutput(stdout: Write, options: { readonly colours: boolean }): Output {
  const style =
    (code: number): Style =>
    (text) =>
      options.colours && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text
  const [bold, dim, red, green] = [style(1), style(2), style(31), style(32)]
  const line = (text: string): void => {
    stdout(`${text}\n`)
  }
  const item = (mark: string, name: string, detail: string, ms: number): void => {
    line([`  ${mark} ${name}`, detail === '' ? '' : `    ${detail}`, `  ${dim(`${ms} ms`)}`].join(''))
  }
  return {
    heading: (text) => {
      line(`\n${bold(text)}`)
    },
    step: ({ name, ms }, detail) => {
      item(green('✓'), name, dim(detail), ms)
    },
    check: ({ name, ok, detail }, ms) => {
      item(ok ? green('✓') : red('✗'), name, ok ? dim(detail) : red(detail), ms)
    },
    lines: (lines) => {
      lines.forEach(line)
    },
    notice: line,
    result: (result, end) => {
      for (const leftover of result.leftovers) line(`  ${red('✗')} left behind: ${leftover}`)
      line(`\n${bold(`${end === 'interrupted' ? 'Interrupted. ' : ''}${summaryOf(result)}`)}`)
    },
  }
}

/** Whether to use colours: on a terminal whose user has not said no (https://no-color.org). */
export function wantsColours(isTerminal: boolean, environment: NodeJS.ProcessEnv): boolean {
  const { NO_COLOR: noColour = '' } = environment
  return isTerminal && noColour === ''
}

function summaryOf({ checks, leftovers }: Result): string {
  const failed = checks.filter(({ ok }) => !ok).length
  const held =
    failed === 0 ? `${checks.length} of ${checks.length} checks hold` : `${failed} of ${checks.length} checks failed`
  return `${held}; ${countOf(leftovers.length)} left behind.`
}

function countOf(leftovers: number): string {
  if (leftovers === 0) return 'nothing is'
  return leftovers === 1 ? '1 thing is' : `${leftovers} things are`
}
