/** token create, list and revoke. */
import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { type Command, Option } from 'commander';
import { type Role, roles } from '../../common/names/names.ts';
import {
  type CreateTokenResponse,
  CreateTokenResponseSchema,
  ListTokensResponseSchema,
  RevokeTokenResponseSchema,
  type Token,
} from '../../proto/gen/kubemtls/v1/token_pb.js';
import { type CommandContext, callAndPrint, fetchAll } from './command-context.ts';
import { countArgument } from './count-argument.ts';
import { fromNow, roleText, time } from './format.ts';
import { durationArgument } from './list-commands.ts';
import { formatTable } from './table.ts';

interface CreateOptions {
  role: Role;
  node: string[];
  ttl: number;
  uses: number;
  address: string[];
  network: string[];
  allowReenroll: boolean;
  printJoin: boolean;
}

/** Adds the commands. */
export function addTokenCommands(program: Command, context: CommandContext): void {
  const token = program.command('token').description('bootstrap tokens, with which nodes join');

  token
    .command('create')
    .description('make a token; its secret is shown once')
    .addOption(new Option('--role <role>', 'what its nodes will be').choices(roles.all).makeOptionMandatory())
    .option('--node <name>', 'a node it may enrol, * for any characters but dots; repeat for more', collect, [])
    .addOption(
      new Option('--ttl <duration>', 'how long it lives, 1m to 30d')
        .argParser(durationArgument)
        .default(86_400_000, '24h'),
    )
    .option('--uses <count>', 'how many nodes it may enrol', countArgument, 1)
    .option('--address <ip>', 'an address that the node is recorded with; repeat for more', collect, [])
    .option('--network <cidr>', 'a network from which it may be used; repeat for more', collect, [])
    .option('--allow-reenroll', 'a name that is enrolled already may be enrolled again with another key', false)
    .option('--print-join', 'print the line to run on the node, and nothing else', false)
    .action((options: CreateOptions, command: Command) =>
      callAndPrint(
        context,
        command,
        CreateTokenResponseSchema,
        ({ tokens }) =>
          tokens.createToken({
            role: roles.toNumber(options.role),
            nodeNames: options.node,
            ttl: durationFromMs(options.ttl),
            maxUses: options.uses,
            addresses: options.address,
            sourceNetworks: options.network,
            allowReenroll: options.allowReenroll,
          }),
        (answer) => (options.printJoin ? `${answer.joinCommand}\n` : created(answer, context.clock.nowMs())),
      ),
    );

  token
    .command('list')
    .description('tokens without their secrets, newest first')
    .action((_options, command: Command) =>
      callAndPrint(
        context,
        command,
        ListTokensResponseSchema,
        async ({ tokens }) => {
          const all = await fetchAll(Number.POSITIVE_INFINITY, async (page) => {
            const answer = await tokens.listTokens({ page });
            return { rows: answer.tokens, nextPageToken: answer.nextPageToken };
          });
          return create(ListTokensResponseSchema, { tokens: all });
        },
        ({ tokens }) =>
          formatTable(
            ['TOKEN', 'ROLE', 'NODES', 'USES', 'STATE', 'NETWORKS', 'MADE BY', 'MADE AT'],
            tokens.map((it) => tokenRow(it, context.clock.nowMs())),
          ),
      ),
    );

  token
    .command('revoke')
    .description('end a token at once')
    .argument('<id>', 'its public part, or the whole token')
    .action((id: string, _options, command: Command) =>
      callAndPrint(
        context,
        command,
        RevokeTokenResponseSchema,
        ({ tokens }) => tokens.revokeToken({ tokenId: publicPart(id) }),
        () => `token ${publicPart(id)} is revoked\n`,
      ),
    );
}

/** The secret is never sent back to the server, should somebody paste the whole token. */
function publicPart(token: string): string {
  return token.split('.')[0] ?? token;
}

function created(answer: CreateTokenResponse, nowMs: number): string {
  const { record } = answer;
  const names = record?.nodeNames.join(', ') || 'any node';
  return [
    `token ${answer.token}\n`,
    `enrols ${names} as ${record === undefined ? '-' : roleText(record.role)}, `,
    `${record?.maxUses ?? 0} in all, until ${time(record?.expiresAt)} (${fromNow(record?.expiresAt, nowMs)})\n\n`,
    `run on the node, as root:\n  ${answer.joinCommand}\n`,
  ].join('');
}

function tokenRow(it: Token, nowMs: number): string[] {
  const used = it.uses >= it.maxUses ? 'used up' : `expires ${fromNow(it.expiresAt, nowMs)}`;
  return [
    it.tokenId,
    roleText(it.role),
    it.nodeNames.join(',') || 'any',
    `${it.uses}/${it.maxUses}`,
    it.revoked ? 'revoked' : used,
    it.sourceNetworks.join(',') || 'any',
    it.createdBy,
    time(it.createdAt),
  ];
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}
