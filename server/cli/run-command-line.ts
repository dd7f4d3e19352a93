/** The command line of operators, from its words to its exit status. */
import { Command, CommanderError } from 'commander';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import type { Clock } from '../../common/time/clock.ts';
import { version } from '../../common/version.ts';
import { addAuthorityCommands } from './authority-commands.ts';
import { type CommandContext, withGlobalOptions } from './command-context.ts';
import { addFleetCommands } from './fleet-commands.ts';
import { addListCommands } from './list-commands.ts';
import { addRolloutCommands } from './rollout-commands.ts';
import { printable } from './table.ts';
import { addTokenCommands } from './token-commands.ts';

/** What a process brings. */
export interface Terminal {
  clock: Clock;
  writeOut(text: string): void;
  writeErr(text: string): void;
}

/** What to try next, where the message of the server does not say it. */
const ADVICE: Partial<Record<Reason, string>> = {
  unauthenticated: 'the credentials in --credentials must be those of an administrator of this fleet, and newest',
  unavailable: 'is kube-mtls-server running there (systemctl status kube-mtls-server), and is --server right?',
  deadline: 'the server did not answer in time; try again, and look at its log (journalctl -u kube-mtls-server)',
};

/**
 * Does what the words ask for and prints the answer, or what is wrong. Never rejects.
 *
 * @param words without the program's name
 * @returns the exit status: 0, or 1 for whatever is wrong
 */
export async function runCommandLine(words: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await programOf(terminal).parseAsync(words, { from: 'user' });
    return 0;
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode; // it has told why itself
    const error = AppError.from(thrown);
    const advice = ADVICE[error.reason];
    terminal.writeErr(`kube-mtls: ${printable(error.message)}\n${advice === undefined ? '' : `${advice}\n`}`);
    return 1;
  }
}

function programOf({ clock, writeOut, writeErr }: Terminal): Command {
  const context: CommandContext = { clock, write: writeOut, warn: (text) => writeErr(`kube-mtls: ${text}\n`) };
  const program = withGlobalOptions(new Command('kube-mtls'))
    .description('steer a fleet of kube-mtls: tokens, nodes, certificates, events, the rollout, the CAs')
    .version(version)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut, writeErr })
    .exitOverride();
  addFleetCommands(program, context);
  addListCommands(program, context);
  addTokenCommands(program, context);
  addRolloutCommands(program, context);
  addAuthorityCommands(program, context);
  return program;
}
