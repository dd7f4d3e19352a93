/** certificates and events: the inventory and the audit. */
import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../../common/config/duration.ts';
import { messageOf } from '../../common/errors/app-error.ts';
import { authorities, type Profile, profiles } from '../../common/names/names.ts';
import {
  CertificateState,
  ListCertificatesResponseSchema,
  ListEventsResponseSchema,
} from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import { type CommandContext, callAndPrint, fetchAll } from './command-context.ts';
import { countArgument } from './count-argument.ts';
import { fromNow, time } from './format.ts';
import { formatTable } from './table.ts';

/** Adds the commands. */
export function addListCommands(program: Command, context: CommandContext): void {
  program
    .command('certificates')
    .description('certificates issued, newest first')
    .option('--node <name>', 'only of this holder: a node, "admin/NAME" or "server"', '')
    .addOption(new Option('--profile <profile>', 'only of this profile').choices(profiles.all))
    .option('--expiring-within <duration>', 'only those that end within this time, as 30d', durationArgument)
    .option('--limit <count>', 'at most so many', countArgument, 1000)
    .action((options: CertificateOptions, command: Command) =>
      callAndPrint(
        context,
        command,
        ListCertificatesResponseSchema,
        async ({ fleet }) => {
          const { node, profile, expiringWithin, limit } = options;
          const filter = {
            node,
            ...(profile === undefined ? {} : { profile: profiles.toNumber(profile) }),
            ...(expiringWithin === undefined ? {} : { expiringWithin: durationFromMs(expiringWithin) }),
          };
          const certificates = await fetchAll(limit, async (page) => {
            const answer = await fleet.listCertificates({ ...filter, page });
            return { rows: answer.certificates, nextPageToken: answer.nextPageToken };
          });
          return create(ListCertificatesResponseSchema, { certificates });
        },
        ({ certificates }) =>
          formatTable(
            ['HOLDER', 'PROFILE', 'AUTHORITY', 'EXPIRES', 'UNTIL', 'SERIAL', 'SUBJECT'],
            certificates.map((it) => [
              it.holder,
              profiles.toWord(it.profile) ?? '-',
              authorities.toWord(it.authority) ?? '-',
              it.state === CertificateState.ISSUED ? fromNow(it.notAfter, context.clock.nowMs()) : 'not signed',
              time(it.notAfter),
              it.serial,
              it.subject,
            ]),
          ),
      ),
    );

  program
    .command('events')
    .description('what happened and what was decided, newest first')
    .option('--node <name>', 'only about this node', '')
    .option('--kind <kind>', 'only of this kind, "certificate.issued" or a prefix "certificate"', '')
    .option('--limit <count>', 'at most so many', countArgument, 100)
    .action((options: { node: string; kind: string; limit: number }, command: Command) =>
      callAndPrint(
        context,
        command,
        ListEventsResponseSchema,
        async ({ fleet }) => {
          const { node, kind, limit } = options;
          const events = await fetchAll(limit, async (page) => {
            const answer = await fleet.listEvents({ node, kind, page });
            return { rows: answer.events, nextPageToken: answer.nextPageToken };
          });
          return create(ListEventsResponseSchema, { events });
        },
        ({ events }) =>
          formatTable(
            ['TIME', 'KIND', 'ACTOR', 'NODE', 'FROM', 'REASON', 'MESSAGE'],
            events.map((it) => [time(it.at), it.kind, it.actor, it.node, it.source, it.reason, it.message]),
          ),
      ),
    );
}

interface CertificateOptions {
  node: string;
  profile?: Profile;
  expiringWithin?: number;
  limit: number;
}

/** A duration on the command line, in milliseconds. */
export function durationArgument(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}
