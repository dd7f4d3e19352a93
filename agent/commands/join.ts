/** `join`: enrols this node and starts the daemon. */
import { readFile } from 'node:fs/promises';
import { AppError } from '../../common/errors/app-error.ts';
import { runChecked, runCommand } from '../../common/run/command.ts';
import { systemClock } from '../../common/time/clock.ts';
import { loadAgentConfig } from '../config/agent-config.ts';
import { loadEnrolment } from '../enrol/enrolment.ts';
import { joinFleet } from '../enrol/join.ts';
import { chooseAlgorithm } from '../keys/choose-algorithm.ts';
import type { Layout } from '../layout.ts';

/** What was typed. */
export interface JoinCommandOptions {
  server: string;
  token: string;
  caHash: string;
  nodeName: string;
  observe: boolean;
  start: boolean;
}

const UNIT = 'kube-mtls-agent.service';

/** Enrols, then enables and (re)starts the daemon. Returns what to print. */
export async function joinCommand(layout: Layout, options: JoinCommandOptions): Promise<string> {
  if (process.geteuid?.() !== 0)
    throw new AppError('policy-refused', 'join writes to /var/lib and starts a unit: run it as root');
  const before = await loadEnrolment(layout).catch(() => undefined); // a damaged one is what joining again mends
  const { keyAlgorithm } = await loadAgentConfig(layout.configFile);
  const enrolment = await joinFleet(
    { layout, clock: systemClock },
    {
      server: options.server,
      token: await readToken(options.token),
      caHash: options.caHash,
      nodeName: options.nodeName,
      mode: options.observe ? 'observe' : 'enforce',
      keyAlgorithm: chooseAlgorithm(keyAlgorithm),
    },
  );
  const lines = [
    `the server is the pinned one (${enrolment.pin})`,
    `this node is ${enrolment.nodeName}, role ${enrolment.role}${before === undefined ? '' : ' (it had joined before)'}`,
  ];
  if (options.start) {
    await runChecked(runCommand, ['systemctl', 'enable', '--quiet', UNIT]);
    await runChecked(runCommand, ['systemctl', 'restart', UNIT]);
    lines.push(`${UNIT} runs${options.observe ? ' and only observes' : ''}`);
  }
  lines.push('see "kube-mtls-agent status" here, or "kube-mtls fleet" on the server');
  return lines.join('\n');
}

/** A token on the command line can be read by every user of the machine; @FILE cannot. */
async function readToken(token: string): Promise<string> {
  if (!token.startsWith('@')) return token;
  try {
    return (await readFile(token.slice(1), 'utf8')).trim();
  } catch (error) {
    throw new AppError('invalid-request', `the token file ${token.slice(1)} cannot be read`, { cause: error });
  }
}
