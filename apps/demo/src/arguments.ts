import { Command, CommanderError, Option } from 'commander'

/** What the command line chooses. */
export interface Choices {
  /** The machine's own network instead of one to throw away. */
  readonly host: boolean
  readonly json: boolean
  /** Wait before tearing down. */
  readonly keep: boolean
  /** Set when the program has started itself again in a host to throw away: the folder for its files. */
  readonly inside: string | undefined
}

/** What to do: the demo, or end at once with this status (the text has been written). */
export type Parsed =
  { readonly kind: 'run'; readonly choices: Choices } | { readonly kind: 'end'; readonly status: number }

/** Exit status for a command line that is not understood. */
const USAGE_STATUS = 2

/** Reads the command line, without the names of node and the script. */
export function parseArguments(
  args: readonly string[],
  deps: { readonly version: string; readonly stdout: (text: string) => void; readonly stderr: (text: string) => void },
): Parsed {
  const command = commandOf(deps.version)
    .configureOutput({ writeOut: deps.stdout, writeErr: deps.stderr })
    .exitOverride()
  try {
    const options = command.parse(args, { from: 'user' }).opts<Partial<Choices>>()
    const { host = false, json = false, keep = false, inside } = options
    return { kind: 'run', choices: { host, json, keep, inside } }
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return { kind: 'end', status: error.exitCode === 0 ? 0 : USAGE_STATUS }
  }
}

function commandOf(version: string): Command {
  return new Command('net-demo')
    .description(
      'Shows container networks for Node working: networks, containers, published ports, an outside client, ' +
        'and a teardown that leaves nothing behind. Runs in a network host of its own that is thrown away, ' +
        'as root or as an ordinary user.',
    )
    .option('--host', "use this machine's own network instead (root only)")
    .option('--json', 'print one JSON object: { checks, timings, leftovers }')
    .option('--keep', 'wait for a key, SIGINT or SIGTERM before tearing down, and say how to look inside')
    .addOption(new Option('--inside <folder>').hideHelp())
    .version(version)
    .showHelpAfterError('(--help lists the options)')
    .addHelpText(
      'after',
      '\nExit status: 0 when every check holds and nothing is left behind, 1 otherwise, 2 for an unknown option,\n' +
        '130 after Ctrl-C. Whatever ends the demo, it tears down first.',
    )
}
