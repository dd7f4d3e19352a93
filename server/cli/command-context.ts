/** What every command of the operator's command line shares: options, a connection, and two ways to print. */
import { type DescMessage, type MessageShape, toJsonString } from '@bufbuild/protobuf';
import { type Command, Option } from 'commander';
import type { Clock } from '../../common/time/clock.ts';
import { type ConnectOptions, connectOperator, type Operator } from './connect.ts';

/** What a command works with. */
export interface CommandContext {
  clock: Clock;
  write(text: string): void;
  /** Beside the answer: for a person, and never part of what a program reads. */
  warn(text: string): void;
}

/** Options of a command as commander reads them. */
export interface GlobalOptions extends ConnectOptions {
  output: 'text' | 'json';
}

/** Gives a command the options that all have. */
export function withGlobalOptions(command: Command): Command {
  return command
    .option('-s, --server <host:port>', 'fleet listener of the server (default: the one of this machine)')
    .option('--credentials <folder>', 'folder with ca.crt, admin.crt and admin.key', '/etc/kube-mtls/admin')
    .option('--config <file>', 'configuration of the server of this machine', '/etc/kube-mtls/server.yaml')
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'));
}

/** Calls the server once and prints the answer: as protobuf JSON, or as the text that the command makes of it. */
export async function callAndPrint<Desc extends DescMessage>(
  context: CommandContext,
  command: Command,
  schema: Desc,
  call: (operator: Operator) => Promise<MessageShape<Desc>>,
  format: (answer: MessageShape<Desc>) => string,
): Promise<void> {
  const options = command.optsWithGlobals<GlobalOptions>();
  const operator = await connectOperator(options, context.clock.nowMs());
  try {
    if (operator.notice !== undefined) context.warn(operator.notice);
    const answer = await call(operator);
    const json = options.output === 'json';
    context.write(
      json ? `${toJsonString(schema, answer, { prettySpaces: 2, alwaysEmitImplicit: true })}\n` : format(answer),
    );
  } finally {
    operator.close();
  }
}

/** Fetches page after page until there is no more, or so many rows are there. */
export async function fetchAll<Row>(
  most: number,
  fetchPage: (page: { pageSize: number; pageToken: string }) => Promise<{ rows: Row[]; nextPageToken: string }>,
): Promise<Row[]> {
  const rows: Row[] = [];
  let pageToken = '';
  do {
    const page = await fetchPage({ pageSize: Math.min(1000, most - rows.length), pageToken });
    rows.push(...page.rows);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && rows.length < most);
  return rows;
}
