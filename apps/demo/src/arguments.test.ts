import { describe, expect, it } from 'vitest'
import { parseArguments, type Parsed } from './arguments.ts'

function parse(...args: readonly string[]): { parsed: Parsed; stdout: string; stderr: string } {
  let stdout = ''
  let stderr = ''
  const parsed = parseArguments(args, {
    version: '1.2.3',
    stdout: (text) => {
      stdout += text
    },
    stderr: (text) => {
      stderr += text
    },
  })
  return { parsed, stdout, stderr }
}

describe('the command line', () => {
  it('chooses a host to throw away, text, and no waiting where it says nothing', () => {
    expect(parse().parsed).toEqual({
      kind: 'run',
      choices: { host: false, json: false, keep: false, inside: undefined },
    })
  })

  it.each(['host', 'json', 'keep'] as const)('takes --%s', (name) => {
    expect(parse(`--${name}`).parsed).toMatchObject({ kind: 'run', choices: { [name]: true } })
  })

  it.each([['--nope'], ['nope'], ['--host=yes']])('ends with status 2 for %s, and says so on stderr', (arg) => {
    const { parsed, stdout, stderr } = parse(arg)

    expect(parsed).toEqual({ kind: 'end', status: 2 })
    expect(stdout).toBe('')
    expect(stderr).toContain('error:')
  })

  it('says its version', () => {
    expect(parse('--version')).toMatchObject({ parsed: { kind: 'end', status: 0 }, stdout: '1.2.3\n' })
  })

  it('lists its options and exit statuses, save for the one that is not for users', () => {
    const { parsed, stdout } = parse('--help')

    expect(parsed).toEqual({ kind: 'end', status: 0 })
    expect(stdout).toContain('--keep')
    expect(stdout).toContain('Exit status')
    expect(stdout).not.toContain('--inside')
  })
})
