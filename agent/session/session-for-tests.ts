/** An agent's session on streams without a network, for tests that speak as the server does. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import {
  InventorySchema,
  PeerAnswerSchema,
  type PeerQuestion,
  SettingsSchema,
} from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { NodeRole } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { FakeLink } from '../link/fake-link.ts';
import type { AgentSettings } from '../report/agent-state.ts';
import { StatusBoard } from '../report/status-board.ts';
import { FakeStream } from './fake-stream.ts';
import { Session } from './session.ts';

const cluster = { name: 'lab', apiEndpoint: '10.0.0.1:6443', serviceAddress: '10.96.0.1', dnsDomain: 'cluster.local' };

/** A session that runs against streams which the test holds. */
export function begin(test: TestContext) {
  const clock = new FakeClock();
  const board = new StatusBoard(() => clock.nowMs());
  const streams: FakeStream[] = [];
  const link = new FakeLink(new Map());
  link.instead.session = () => {
    const stream = new FakeStream();
    streams.push(stream);
    return stream;
  };
  const heard: { settings: AgentSettings; offsetMs: number }[] = [];
  const questions: { question: PeerQuestion; signal: AbortSignal }[] = [];
  const state = {
    permitId: '',
    path: '/x',
    answer: async () => create(PeerAnswerSchema, { questionId: 'q1', concerned: true }),
  };
  const session = new Session({
    link,
    clock,
    log: silentLog,
    board,
    nodeName: 'w1',
    mode: 'enforce',
    heldPermit: () => state.permitId,
    inventory: () => create(InventorySchema, { certificates: [{ path: state.path }] }),
    onSettings: (settings, offsetMs) => heard.push({ settings, offsetMs }),
    answer: (question, signal) => {
      questions.push({ question, signal });
      return state.answer();
    },
  });
  const stop = new AbortController();
  const running = session.run(stop.signal);
  running.catch(() => undefined); // the test looks at it later, or not at all
  test.after(() => stop.abort());
  const stream = (index = streams.length - 1): FakeStream => streams[index] ?? assert.fail(`no stream ${index} yet`);
  const settle = () => clock.advance(0);
  /** The server's first word, which makes the session stand. */
  const greet = async (settings = {}) => {
    await settle();
    stream().say({ case: 'settings', value: settingsMessage(settings) });
    await settle();
  };
  return { clock, board, link, streams, stream, heard, questions, state, session, stop, running, settle, greet };
}

/** What the server says of this node; good unless told otherwise. */
export function settingsMessage(fields: { serverTimeMs?: number; heartbeatMs?: number; role?: NodeRole } = {}) {
  const { serverTimeMs = Date.UTC(2026, 0, 1), heartbeatMs = 10_000, role = NodeRole.WORKER } = fields;
  return create(SettingsSchema, {
    generation: 7n,
    heartbeatInterval: durationFromMs(heartbeatMs),
    serverTime: timestampFromMs(serverTimeMs),
    cluster,
    role,
  });
}
