/** authority list, rotate, status, advance and abort: the CAs of the cluster and the change of their roots. */
import { type Command, InvalidArgumentError } from 'commander';
import { type Authority, authorities, rotationPhases } from '../../common/names/names.ts';
import {
  AbortAuthorityRotationResponseSchema,
  AdvanceAuthorityRotationResponseSchema,
  type AuthorityCertificate,
  type AuthorityRotation,
  GetAuthorityRotationResponseSchema,
  ListAuthoritiesResponseSchema,
  StartAuthorityRotationResponseSchema,
} from '../../proto/gen/kubemtls/v1/authority_pb.js';
import { RotationPhase } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { type CommandContext, callAndPrint } from './command-context.ts';
import { fromNow, time } from './format.ts';
import { formatTable, printable } from './table.ts';

/** Adds the commands. */
export function addAuthorityCommands(program: Command, context: CommandContext): void {
  const authority = program
    .command('authority')
    .description('the CAs, and the change of their roots without an outage');
  const format = ({ rotation }: { rotation?: AuthorityRotation | undefined }) => rotationText(rotation);

  authority
    .command('list')
    .description('every CA certificate that the server knows, the newest of each authority first')
    .action((_options, command: Command) =>
      callAndPrint(
        context,
        command,
        ListAuthoritiesResponseSchema,
        (it) => it.authorities.listAuthorities({}),
        ({ certificates }) =>
          formatTable(
            ['AUTHORITY', 'IS', 'KEY', 'EXPIRES', 'SUBJECT', 'PIN'],
            certificates.map((it) => [
              authorities.toWord(it.authority) ?? '-',
              standing(it),
              it.hasKey ? 'here' : 'not here',
              fromNow(it.notAfter, context.clock.nowMs()),
              it.subject,
              it.publicKeyPin,
            ]),
          ),
      ),
    );

  authority
    .command('rotate')
    .description('make new CAs and move every node to them, in three phases: trust, reissue, drop')
    .option(
      '--authority <names>',
      'kubernetes, etcd, front-proxy, separated by commas (default: all)',
      authorityNames,
      [],
    )
    .option('--automatic', 'begin each next phase when the one before is complete on every node', false)
    .action((options: { authority: Authority[]; automatic: boolean }, command: Command) =>
      callAndPrint(
        context,
        command,
        StartAuthorityRotationResponseSchema,
        (it) =>
          it.authorities.startAuthorityRotation({
            authorities: options.authority.map(authorities.toNumber),
            automatic: options.automatic,
          }),
        format,
      ),
    );

  authority
    .command('status')
    .description('how far the change of roots has come, and what its phase waits for')
    .action((_options, command: Command) =>
      callAndPrint(
        context,
        command,
        GetAuthorityRotationResponseSchema,
        (it) => it.authorities.getAuthorityRotation({}),
        format,
      ),
    );

  authority
    .command('advance')
    .description('begin the next phase; refused while the one under way is not complete on every node')
    .action((_options, command: Command) =>
      callAndPrint(
        context,
        command,
        AdvanceAuthorityRotationResponseSchema,
        async (it) => {
          const { rotation } = await it.authorities.getAuthorityRotation({});
          return it.authorities.advanceAuthorityRotation({ from: rotation?.phase ?? RotationPhase.UNSPECIFIED });
        },
        format,
      ),
    );

  authority
    .command('abort')
    .description('take the change of roots back: from trust to where it began, from reissue to trust')
    .action((_options, command: Command) =>
      callAndPrint(
        context,
        command,
        AbortAuthorityRotationResponseSchema,
        async (it) => {
          const { rotation } = await it.authorities.getAuthorityRotation({});
          return it.authorities.abortAuthorityRotation({ from: rotation?.phase ?? RotationPhase.UNSPECIFIED });
        },
        ({ rotation }) => `${rotationText(rotation)}${AFTER_ABORT[rotation?.phase ?? RotationPhase.UNSPECIFIED] ?? ''}`,
      ),
    );
}

/** What an operator does next, by the phase that follows. */
const AFTER_ABORT: Partial<Record<RotationPhase, string>> = {
  [RotationPhase.TRUST]:
    'certificates come from the old CA again; once all do, "kube-mtls authority abort" gives the new CA up, and "advance" goes on with it\n',
  [RotationPhase.DROP]:
    'nodes stop trusting the new CA, then its key is removed; where the rollout is paused, "kube-mtls rollout resume" lets it go on\n',
};

function standing({ issuing, trusted }: AuthorityCertificate): string {
  if (issuing) return 'issuing';
  return trusted ? 'trusted' : 'retired';
}

function rotationText(rotation: AuthorityRotation | undefined): string {
  if (rotation === undefined || rotation.phase === RotationPhase.UNSPECIFIED) {
    return 'no change of roots is under way\n';
  }
  const names = rotation.authorities.map((it) => authorities.toWord(it) ?? '-').join(', ');
  const phase = rotationPhases.toWord(rotation.phase) ?? '-';
  const first = `change of roots of ${names}: phase ${phase} since ${time(rotation.phaseStartedAt)}${rotation.automatic ? ', automatic' : ''}`;
  const left = rotation.leftBehind.map((it) => `  ${printable(it)}\n`).join('');
  const notes =
    left === '' ? '' : `before drop, give these a certificate of the new CA where they are needed:\n${left}`;
  if (!rotation.complete) {
    return `${[first, 'it waits for:', ...rotation.waitingFor.map((it) => `  ${printable(it)}`), ''].join('\n')}${notes}`;
  }
  const next = rotation.automatic ? 'the next phase begins by itself' : 'go on with: kube-mtls authority advance';
  return `${first}\ncomplete on every node; ${next}\n${notes}`;
}

/** Names separated by commas; the option may be repeated. */
function authorityNames(text: string, before: Authority[]): Authority[] {
  const names = text.split(',').map((name) => {
    const found = authorities.all.find((authority) => authority === name.trim() && authority !== 'fleet');
    if (found === undefined)
      throw new InvalidArgumentError('give kubernetes, etcd or front-proxy, separated by commas');
    return found;
  });
  return [...before, ...names];
}
