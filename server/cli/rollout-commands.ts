/** rollout status, pause and resume. */
import type { Command } from 'commander';
import {
  GetRolloutResponseSchema,
  PauseRolloutResponseSchema,
  ResumeRolloutResponseSchema,
} from '../../proto/gen/kubemtls/v1/rollout_pb.js';
import type { Rollout } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { type CommandContext, callAndPrint } from './command-context.ts';
import { componentText, fromNow, time } from './format.ts';
import { formatTable, printable } from './table.ts';

/** Adds the commands. */
export function addRolloutCommands(program: Command, context: CommandContext): void {
  const rollout = program.command('rollout').description('the rollout of changes over the fleet');
  const format = (answer: { rollout?: Rollout | undefined }) => rolloutText(answer.rollout, context.clock.nowMs());

  rollout
    .command('status')
    .description('how it stands and who holds permits')
    .action((_options, command: Command) =>
      callAndPrint(context, command, GetRolloutResponseSchema, (it) => it.rollout.getRollout({}), format),
    );

  rollout
    .command('pause')
    .description('grant no further restart permit; changes under way come to their end')
    .option('--reason <text>', 'for those who look later', 'paused by an operator')
    .action(({ reason }: { reason: string }, command: Command) =>
      callAndPrint(context, command, PauseRolloutResponseSchema, (it) => it.rollout.pauseRollout({ reason }), format),
    );

  rollout
    .command('resume')
    .description('grant permits again; what failed is tried again')
    .option('--without <node...>', 'for which it stays paused, and whose failures stop it no more')
    .option('--let-in <node...>', 'that were left out before')
    .action(({ without = [], letIn = [] }: { without?: string[]; letIn?: string[] }, command: Command) =>
      callAndPrint(
        context,
        command,
        ResumeRolloutResponseSchema,
        (it) => it.rollout.resumeRollout({ leaveOut: without, letIn }),
        format,
      ),
    );
}

function rolloutText(rollout: Rollout | undefined, nowMs: number): string {
  if (rollout === undefined) return '';
  const state = rollout.paused ? `paused since ${time(rollout.pausedAt)}: ${rollout.reason}` : 'running';
  const permits = rollout.permits.map((it) => [
    it.node,
    it.components.map(componentText).join(', '),
    fromNow(it.expiresAt, nowMs),
    it.permitId,
  ]);
  const table =
    permits.length === 0 ? 'no permit is held\n' : formatTable(['NODE', 'MAY DISTURB', 'ENDS', 'PERMIT'], permits);
  const without = rollout.leftOut.length === 0 ? '' : `left out: ${printable(rollout.leftOut.join(', '))}\n`;
  return `rollout ${printable(state)}\n${without}${table}`;
}
