import type { Output } from './report.ts'

/** Where text goes: a part of a writable stream. */
export type Write = (text: string) => void

/** One object on stdout and nothing else; what the user should know meanwhile goes to stderr. */
export function jsonOutput(stdout: Write, stderr: Write): Output {
  const nothing = (): void => undefined
  return {
    heading: nothing,
    step: nothing,
    check: nothing,
    lines: nothing,
    notice: (text) => {
      stderr(`${text}\n`)
    },
    result: ({ checks, timings, leftovers }) => {
      stdout(`${JSON.stringify({ checks, timings, leftovers }, undefined, 2)}\n`)
    },
  }
}
