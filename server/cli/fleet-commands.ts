/** fleet, nodes and node: where everything stands. */
import { create } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { authorities, profiles } from '../../common/names/names.ts';
import {
  type GetFleetStatusResponse,
  GetFleetStatusResponseSchema,
  type GetNodeResponse,
  GetNodeResponseSchema,
  ListNodesResponseSchema,
} from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import type { ComponentStatus } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { type CommandContext, callAndPrint, fetchAll } from './command-context.ts';
import {
  componentText,
  fromNow,
  kindText,
  NODE_HEADINGS,
  nodeRows,
  rankText,
  resultText,
  roleText,
  skew,
  stateText,
  time,
} from './format.ts';
import { addRemoveNode } from './remove-node.ts';
import { formatTable, printable } from './table.ts';

/** Adds the commands. */
export function addFleetCommands(program: Command, context: CommandContext): void {
  program
    .command('fleet')
    .description('the fleet on one page: nodes, components, authorities, rollout, warnings')
    .action((_options, command: Command) =>
      callAndPrint(
        context,
        command,
        GetFleetStatusResponseSchema,
        (operator) => operator.fleet.getFleetStatus({}),
        (answer) => fleetPage(answer, context.clock.nowMs()),
      ),
    );

  program
    .command('nodes')
    .description('nodes by name')
    .action((_options, command: Command) =>
      callAndPrint(
        context,
        command,
        ListNodesResponseSchema,
        async ({ fleet }) => {
          const nodes = await fetchAll(Number.POSITIVE_INFINITY, async (page) => {
            const answer = await fleet.listNodes({ page });
            return { rows: answer.nodes, nextPageToken: answer.nextPageToken };
          });
          return create(ListNodesResponseSchema, { nodes });
        },
        ({ nodes }) => formatTable(NODE_HEADINGS, nodeRows(nodes, context.clock.nowMs())),
      ),
    );

  const node = program
    .command('node')
    .description('one node: its components with their checks and evidence, its certificates')
    .argument('<name>', 'name of the node')
    .action((name: string, _options, command: Command) =>
      callAndPrint(
        context,
        command,
        GetNodeResponseSchema,
        (operator) => operator.fleet.getNode({ name }),
        (answer) => nodePage(answer, context.clock.nowMs()),
      ),
    );
  addRemoveNode(node, context);
}

function fleetPage(answer: GetFleetStatusResponse, nowMs: number): string {
  const { rollout } = answer;
  const state = rollout?.paused ? `paused since ${time(rollout.pausedAt)}: ${rollout.reason}` : 'running';
  const cas = answer.authorities.map((it) => [
    authorities.toWord(it.authority) ?? '-',
    it.subject,
    fromNow(it.notAfter, nowMs),
    it.imported ? 'imported' : 'own',
    it.publicKeyPin,
  ]);
  const holders = rollout?.permits.map((it) => `${it.node} (${it.components.map(componentText).join(', ')})`) ?? [];
  return [
    `cluster ${answer.cluster}: ${answer.nodesOnline} of ${answer.nodesTotal} nodes online, `,
    `${answer.componentsVerified} of ${answer.componentsTotal} components verified; rollout ${printable(state)}\n`,
    holders.length === 0 ? '' : `permits: ${printable(holders.join('; '))}\n`,
    `\n${formatTable(NODE_HEADINGS, nodeRows(answer.nodes, nowMs))}`,
    `\n${formatTable(['AUTHORITY', 'SUBJECT', 'EXPIRES', 'ORIGIN', 'PIN'], cas)}`,
    answer.warnings.length === 0 ? '' : `\nwarnings:\n${answer.warnings.map((it) => `  ${printable(it)}\n`).join('')}`,
  ].join('');
}

function nodePage(answer: GetNodeResponse, nowMs: number): string {
  const { node } = answer;
  if (node === undefined) return '';
  const away = node.removed ? 'removed' : 'offline';
  const seen = node.online ? 'online' : `${away}, seen ${fromNow(node.lastSeenAt, nowMs)}`;
  const certificates = answer.certificates.map((it) => [
    it.path,
    it.consumer,
    it.managed ? 'yes' : 'no',
    it.problem === '' ? fromNow(it.notAfter, nowMs) : it.problem,
    it.serial,
  ]);
  return [
    `${node.name}  ${roleText(node.role)}  ${node.addresses.join(', ')}  ${seen}  agent ${printable(node.agentVersion)}\n`,
    `enrolled ${time(answer.enrolledAt)}, identity ${answer.identitySerial} until ${time(answer.identityNotAfter)}, `,
    `clock ${skew(answer.clockSkew)}\n`,
    ...answer.components.map((status) => `\n${componentBlock(status, nowMs)}`),
    certificates.length === 0
      ? ''
      : `\n${formatTable(['FILE', 'USED BY', 'MANAGED', 'EXPIRES', 'SERIAL'], certificates)}`,
  ].join('');
}

function componentBlock(status: ComponentStatus, nowMs: number): string {
  const reason = status.reason === '' ? '' : `: ${status.reason}`;
  const lines = [
    `${componentText(status.component)} ${status.version} (${status.unit})  ${stateText(status.state)}${reason}`,
    ...status.checks.flatMap((check) => [
      `  ${resultText(check.result).padEnd(12)}  ${kindText(check.kind).padEnd(9)}  ${check.summary}`,
      ...check.evidence.map(
        (it) => `                ${rankText(it.rank).padEnd(9)}  ${time(it.observedAt)}  ${it.source}: ${it.line}`,
      ),
    ]),
    ...status.certificates.map(
      (it) =>
        `  ${profiles.toWord(it.profile) ?? '-'}  ${it.serial}  expires ${fromNow(it.notAfter, nowMs)}  ${it.path}`,
    ),
    ...(status.pendingFiles.length === 0 ? [] : [`  would change: ${status.pendingFiles.join(', ')}`]),
  ];
  return lines.map((line) => `${printable(line)}\n`).join('');
}
