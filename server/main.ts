/** kube-mtls-server: the CA server of a fleet. Only this file ends the process. */
import { Command } from 'commander';
import { AppError, messageOf } from '../common/errors/app-error.ts';
import { createLog, type Log } from '../common/log/log.ts';
import { runChecked, runCommand } from '../common/run/command.ts';
import { stopSignal } from '../common/run/run-tasks.ts';
import { systemClock } from '../common/time/clock.ts';
import { version } from '../common/version.ts';
import { readPassphrase } from './authority/passphrase.ts';
import { countArgument } from './cli/count-argument.ts';
import { loadServerConfig } from './config/server-config.ts';
import { serverLayoutBelow } from './config/server-layout.ts';
import { init } from './init/init.ts';
import type { InitOptions } from './init/init-options.ts';
import { initReport } from './init/init-report.ts';
import { thisMachine } from './init/machine.ts';
import { openServer } from './open-server.ts';

const layout = serverLayoutBelow();
const print = (text: string): void => {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
};
const collect = (value: string, before: string[]): string[] => [...before, value];

const program = new Command('kube-mtls-server')
  .description('the CA of a fleet, its inventory, its policy, and the coordinator of its restarts')
  .version(version)
  .option('--check-config', 'check the configuration file and end', false)
  .option('--config <file>', 'configuration file', layout.configFile)
  .configureHelp({ showGlobalOptions: true })
  .action((options: { checkConfig: boolean; config: string }) =>
    options.checkConfig ? checkConfig(options.config) : program.help({ error: true }),
  );

program
  .command('init')
  .description('make or adopt the CAs, write the configuration, and make the first administrator')
  .requiredOption('--cluster <name>', 'name of the cluster, also the trust domain of identities')
  .requiredOption('--api-endpoint <host:port>', 'where clients reach the API server')
  .option('--service-cidr <cidr>', 'service network of the cluster', '10.96.0.0/12')
  .option('--dns-domain <domain>', 'DNS domain of services', 'cluster.local')
  .option(
    '--nodes <count>',
    'how many nodes will join: API servers verify kubelets from their first restart on',
    countArgument,
  )
  .option('--adopt <folder>', 'import the CAs of an existing cluster, as /etc/kubernetes/pki')
  .option('--trust-old <folder>', 'make new CAs, and trust those of an existing cluster until its nodes have moved')
  .option('--advertise <host>', 'a name or address at which nodes reach this server; repeat for more', collect, [])
  .action(async (options: Omit<InitOptions, 'adopt'> & { adopt?: string }, command: Command) => {
    if (process.geteuid?.() !== 0) {
      throw new AppError('policy-refused', 'init writes to /etc/kube-mtls and /var/lib: run it as root');
    }
    const { config } = command.optsWithGlobals<{ config: string }>();
    const place = { ...layout, configFile: config };
    const deps = { layout: place, run: runCommand, clock: systemClock, machine: thisMachine() };
    print(initReport(await init({ ...options, adopt: options.adopt }, deps)));
  });

program
  .command('run')
  .description('the daemon; systemd starts it')
  .option('--check-config', 'check the configuration file and end', false)
  .action((_options, command: Command) => {
    const options = command.optsWithGlobals<{ checkConfig: boolean; config: string }>();
    return options.checkConfig ? checkConfig(options.config) : run(options.config);
  });

program
  .command('check-config')
  .description('check the configuration file, without the network and the keys')
  .action((_options, command: Command) => checkConfig(command.optsWithGlobals<{ config: string }>().config));

try {
  await program.parseAsync();
} catch (thrown) {
  process.stderr.write(`kube-mtls-server: ${AppError.from(thrown).message}\n`);
  process.exitCode = 1;
}

async function checkConfig(file: string): Promise<void> {
  await loadServerConfig(file);
  print(`${file} is good`);
}

async function run(file: string): Promise<void> {
  const signal = stopSignal();
  const config = await loadServerConfig(file);
  const log = createLog(config.logLevel);
  const passphrase = await readPassphrase({
    configured: config.passphraseFile,
    credentialsFolder: process.env.CREDENTIALS_DIRECTORY,
    fallback: layout.passphraseFile,
  });
  const { hostname } = thisMachine();
  const server = await openServer({ config, passphrase, hostname, clock: systemClock, log });
  await tellSystemd(log);
  await server.run(signal);
}

/** Under a unit with Type=notify and NotifyAccess=all: the listeners are open. */
async function tellSystemd(log: Log): Promise<void> {
  if (process.env.NOTIFY_SOCKET === undefined) return;
  try {
    await runChecked(runCommand, ['systemd-notify', '--ready']);
  } catch (error) {
    log.warn('cannot tell systemd that the server is ready', { detail: messageOf(error) });
  }
}
