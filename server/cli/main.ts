/** kube-mtls: the command line of operators, over the same gRPC API that grpcurl can use. Only this file ends the process. */
import { Command } from 'commander';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { systemClock } from '../../common/time/clock.ts';
import { version } from '../../common/version.ts';
import { addAuthorityCommands } from './authority-commands.ts';
import { type CommandContext, withGlobalOptions } from './command-context.ts';
import { addFleetCommands } from './fleet-commands.ts';
import { addListCommands } from './list-commands.ts';
import { addRolloutCommands } from './rollout-commands.ts';
import { printable } from './table.ts';
import { addTokenCommands } from './token-commands.ts';

/** What to try next, where the message of the server does not say it. */
const ADVICE: Partial<Record<Reason, string>> = {
  unauthenticated: 'the credentials in --credentials must be those of an administrator of this fleet, and newest',
  unavailable: 'is kube-mtls-server running there (systemctl status kube-mtls-server), and is --server right?',
  deadline: 'the server did not answer in time; try again, and look at its log (journalctl -u kube-mtls-server)',
};

const context: CommandContext = {
  clock: systemClock,
  write: (text) => {
    process.stdout.write(text);
  },
  warn: (text) => {
    process.stderr.write(`kube-mtls: ${text}\n`);
  },
};

const program = withGlobalOptions(new Command('kube-mtls'))
  .description('steer a fleet of kube-mtls: tokens, nodes, certificates, events, the rollout, the CAs')
  .version(version)
  .configureHelp({ showGlobalOptions: true });
addFleetCommands(program, context);
addListCommands(program, context);
addTokenCommands(program, context);
addRolloutCommands(program, context);
addAuthorityCommands(program, context);

try {
  await program.parseAsync();
} catch (thrown) {
  const error = AppError.from(thrown);
  const advice = ADVICE[error.reason];
  process.stderr.write(`kube-mtls: ${printable(error.message)}\n${advice === undefined ? '' : `${advice}\n`}`);
  process.exitCode = 1;
}
