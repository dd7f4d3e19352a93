/** The daemon, built by hand from its rooms. */

import { join } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Log } from '../common/log/log.ts';
import type { Component } from '../common/names/names.ts';
import { Places } from '../common/run/places.ts';
import { runTasks } from '../common/run/run-tasks.ts';
import type { TlsObservationSchema } from '../proto/gen/kubemtls/v1/agent_pb.js';
import type { AgentConfig } from './config/agent-config.ts';
import { serveControl } from './control/control-server.ts';
import { detectNode } from './detect/detect-node.ts';
import type { Detected } from './detect/detected.ts';
import { notAskedOnce } from './detect/version.ts';
import type { Enrolment } from './enrol/enrolment.ts';
import { renewIdentity } from './enrol/renew-identity.ts';
import { FindingLog } from './journal/finding-log.ts';
import { POD_LOGS } from './journal/pod-log-files.ts';
import { currentCursor } from './journal/read-journal.ts';
import { watchJournals } from './journal/watch-journals.ts';
import type { Layout } from './layout.ts';
import { createServerLink } from './link/server-link.ts';
import type { Machine } from './machine.ts';
import type { PlanInput } from './plan/plan-input.ts';
import { refOf } from './process/process-ref.ts';
import { changedSince } from './reconcile/changed-since.ts';
import { lookAtNode } from './reconcile/look.ts';
import { keepOverwritten } from './reconcile/overwritten.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { recoverNode } from './reconcile/recover-node.ts';
import { verifyInstalled } from './reconcile/verify-installed.ts';
import { type AgentSettings, loadAgentState, saveAgentState } from './report/agent-state.ts';
import { endpointsOf, sharedEndpointsOf } from './report/endpoints-of.ts';
import { inventoryMessage } from './report/inventory-message.ts';
import { StatusBoard } from './report/status-board.ts';
import { type RotateDeps, rotate } from './rotate.ts';
import { answerPeerQuestion } from './session/answer-peer-question.ts';
import { Session } from './session/session.ts';
import { createCheckpoint } from './stage/checkpoints.ts';
import type { TransactionDeps } from './stage/transaction.ts';
import { judgeProcess } from './verify/judge-process.ts';
import { updateLocalMember } from './verify/local-etcd.ts';
import { membersDown } from './verify/members-down.ts';
import { OwnCalls } from './verify/own-calls.ts';
import { Verifier } from './verify/verifier.ts';

/** What the process brings. */
export interface AgentOptions {
  layout: Layout;
  enrolment: Enrolment;
  config: AgentConfig;
  log: Log;
  /** What is outside the agent. */
  machine: Machine;
}

/** Answers to peer questions that call other nodes at once, and those that wait for it. */
const MOST_ANSWERS = 4;
const MOST_WAITING_ANSWERS = 60;

/** Runs the daemon until the signal fires. */
export async function runAgent(
  { layout, enrolment, config, log, machine }: AgentOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock, run, spawn } = machine;
  const mode = config.mode ?? enrolment.mode;
  const state = await loadAgentState(layout);
  const board = new StatusBoard(() => clock.nowMs(), state.statuses);
  const findings = new FindingLog(clock);
  const own = new OwnCalls(clock);
  const probe = own.remembering(machine.probe);
  const link = createServerLink(layout, enrolment.fleetEndpoint, clock);
  // under another name it was a node of another record
  let settings: AgentSettings | undefined =
    state.settings?.node.nodeName === enrolment.nodeName ? state.settings : undefined;
  const places = new Places(MOST_ANSWERS, MOST_WAITING_ANSWERS);
  let offsetMs = clock.monotonicMs() - clock.nowMs();
  let permitId = '';
  let looked: PlanInput | undefined;

  const components = (): Detected[] | undefined => looked?.detected.components;
  const processes = () =>
    (components() ?? []).map(({ component, process }) => ({ component, process: refOf(process) }));
  const remember = () => saveAgentState(layout, { ...state, settings, statuses: board.all() });
  const onNotAsked = notAskedOnce((path, detail) => log.warn('program is not asked for its version', { path, detail }));
  const detect = (abort: AbortSignal) => detectNode({ layout, run, overrides: config, onNotAsked }, abort);
  const detectEtcd = async (abort: AbortSignal) =>
    (await detect(abort)).components.find((each) => each.component === 'etcd');
  const transaction: TransactionDeps = {
    layout,
    run,
    clock,
    log,
    checkpoint: createCheckpoint(layout),
    // an undo brings no signal: it goes on while the daemon stops
    updateMember: (update, direction, abort = new AbortController().signal) =>
      updateLocalMember(layout, () => detectEtcd(abort), update, direction, abort, probe),
    currentCursor: () => currentCursor(run),
  };
  const podLogs = join(layout.root, POD_LOGS);
  const journal = { spawn, clock, log, podLogs };
  const verify = {
    layout,
    clock,
    run,
    probe,
    judgeJournal: judgeProcess({ journal, clock, run }),
  };
  const verifier = new Verifier({
    ...verify,
    link,
    findings,
    own,
    offsetMs: () => offsetMs,
    endpointsOf: (detected) =>
      endpointsOf(detected, settings?.node.addresses ?? [], settings?.node.cluster.apiEndpoint ?? ''),
    sharedEndpointsOf: (detected) => sharedEndpointsOf(detected, settings?.node.cluster.apiEndpoint ?? ''),
  });
  const noteFailed: RotateDeps['noteFailed'] = (change, reason) => reconciler.noteFailed(change, reason);
  const rotateDeps: RotateDeps = {
    link,
    clock,
    log,
    board,
    verifier,
    transaction,
    remember,
    noteFailed,
    keyAlgorithm: config.keyAlgorithm,
    changedSince: async (change, abort) => changedSince(change, await detect(abort)),
    membersDown: (change, abort) => membersDown(layout, change.components, abort, probe),
    holdPermit: (held) => {
      permitId = held;
    },
  };
  const reconciler: Reconciler = new Reconciler({
    clock,
    log,
    board,
    mode,
    remember,
    failed: state.failed,
    kept: state.kept,
    intervalMs: config.reconcileInterval,
    settings: () => settings,
    recover: (abort) => recoverNode({ transaction, board, link, log, clock, noteFailed }, abort),
    look: (node, abort) =>
      lookAtNode(
        { layout, run, clock, link, probe, overrides: config, onNotAsked, keyAlgorithm: config.keyAlgorithm },
        node,
        abort,
      ),
    keepOverwritten: (kept, change) => keepOverwritten(layout, kept, change),
    rotate: (change, outdated, abort) => rotate(rotateDeps, change, outdated, abort),
    verify: (input, detected, abort) => verifyInstalled({ verify, board }, input, detected, abort),
    onLook: (input) => {
      looked = input;
      session.sendInventory();
    },
    onSurveyed: (trustGeneration) => session.survey(trustGeneration),
  });
  const session: Session = new Session({
    link,
    clock,
    log,
    board,
    mode,
    nodeName: enrolment.nodeName,
    heldPermit: () => permitId,
    inventory: () => (looked === undefined ? undefined : inventoryMessage(looked)),
    onSettings: (next, measuredMs) => {
      offsetMs = measuredMs;
      const changed = JSON.stringify({ ...settings, generation: 0 }) !== JSON.stringify({ ...next, generation: 0 });
      settings = next;
      if (changed) reconciler.wake();
      else reconciler.reconnected();
    },
    answer: (question, abort) =>
      answerPeerQuestion({ clock, probe, findings, components, places, offsetMs: () => offsetMs }, question, abort),
  });

  const observe = (seen: MessageInitShape<typeof TlsObservationSchema>) => session.observe(seen);
  const doubt = (component: Component) => reconciler.doubt(component);
  const tasks = runTasks(signal, [
    (abort) => session.run(abort),
    (abort) => reconciler.run(abort),
    (abort) => watchJournals({ journal, clock, podLogs, findings, board, own, processes, observe, doubt }, abort),
    (abort) => renewIdentity({ layout, link, clock, log, keyAlgorithm: config.keyAlgorithm }, abort),
    (abort) =>
      serveControl(
        {
          socketPath: layout.controlSocket,
          log,
          handlers: {
            status: async () => ({ enrolment, mode, session: session.state, settings, statuses: board.all() }),
            apply: () => reconciler.pass(abort, true),
            verify: async () => {
              await reconciler.verifyAll(abort);
              return { statuses: board.all() };
            },
          },
        },
        abort,
      ),
  ]);
  try {
    await tasks;
  } finally {
    link.close();
    await remember();
  }
}
