/** kube-mtls-agent: the command line of a node. Only this file ends the process. */
import { hostname } from 'node:os';
import { Command, Option } from 'commander';
import { AppError } from '../common/errors/app-error.ts';
import { createLog, redact } from '../common/log/log.ts';
import { stopSignal } from '../common/run/run-tasks.ts';
import { version } from '../common/version.ts';
import { runAgent } from './agent.ts';
import { applyCommand } from './commands/apply.ts';
import { joinCommand } from './commands/join.ts';
import { modeCommand } from './commands/mode.ts';
import { planCommand } from './commands/plan.ts';
import { statusCommand } from './commands/status.ts';
import { verifyCommand } from './commands/verify.ts';
import { loadAgentConfig } from './config/agent-config.ts';
import { requireEnrolment } from './enrol/enrolment.ts';
import { layoutBelow } from './layout.ts';
import { realMachine } from './machine.ts';

const layout = layoutBelow();
const print = (text: string): void => {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
};
const output = new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text');

const program = new Command('kube-mtls-agent')
  .description('certificates and mutual TLS for the Kubernetes components of this node')
  .version(version)
  .configureHelp({ showGlobalOptions: true });

program
  .command('join')
  .description('make this node a member of a fleet and start the daemon')
  .argument('<server>', 'HOST:9443 of the CA server')
  .requiredOption('--token <token>', 'bootstrap token ID.SECRET, or @FILE to read it from')
  .requiredOption('--ca-hash <pin>', 'sha256:… of the fleet CA, checked before the token is sent')
  .option('--node-name <name>', 'name of the Node object in Kubernetes', hostname().toLowerCase())
  .option('--observe', 'report what would be done, and disturb nothing', false)
  .option('--no-start', 'do not enable and start kube-mtls-agent.service')
  .action(async (server: string, options) => print(await joinCommand(layout, { server, ...options })));

program
  .command('plan')
  .description(
    'print what would change on this node, as a diff; exit status 2 when there is something to do, 3 when something is blocked',
  )
  .action(async () => {
    const { text, exitCode } = await planCommand(layout, stopSignal());
    print(text);
    process.exitCode = exitCode;
  });

program
  .command('apply')
  .description('make the changes now, and try again those that were rolled back; waits for the end')
  .action(async () => {
    const { text, ok } = await applyCommand(layout);
    print(text);
    if (!ok) process.exitCode = 1;
  });

program
  .command('verify')
  .description('verify every managed component now')
  .addOption(output)
  .action(async (options) => {
    const { text, ok } = await verifyCommand(layout, options.output);
    print(text);
    if (!ok) process.exitCode = 1;
  });

program
  .command('status')
  .description('how this node and its components stand')
  .addOption(output)
  .action(async (options) => print(await statusCommand(layout, options.output)));

program
  .command('mode')
  .description('let the daemon change this node (enforce), or only report (observe); restarts the daemon')
  .addArgument(program.createArgument('<mode>').choices(['enforce', 'observe']))
  .action(async (mode) => print(await modeCommand(layout, mode)));

program
  .command('run', { hidden: true })
  .description('the daemon; systemd starts it')
  .option('--check-config', 'check the configuration file and end', false)
  .action(async (options) => {
    const config = await loadAgentConfig(layout.configFile);
    if (options.checkConfig) return print(`${layout.configFile} is good`);
    const enrolment = await requireEnrolment(layout);
    const log = createLog(config.logLevel);
    await runAgent({ layout, enrolment, config, log, machine: realMachine }, stopSignal());
  });

try {
  await program.parseAsync();
} catch (error) {
  const failure = AppError.from(error);
  process.stderr.write(`kube-mtls-agent: ${redact(failure.message)}\n`);
  process.exitCode = 1;
}
