/** What the answers of the peers amount to. */
import { create } from '@bufbuild/protobuf';
import type { Component } from '../../common/names/names.ts';
import type { PeerAnswer } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import {
  type Check,
  CheckKind,
  CheckResult,
  CheckSchema,
  type Evidence,
  EvidenceSchema,
} from '../../proto/gen/kubemtls/v1/types_pb.js';

/** A peer and what it said; undefined when it said nothing in time. */
export interface Answered {
  node: string;
  answer: PeerAnswer | undefined;
}

const MOST_LINES = 20;
const MOST_CHARS = 1000;

/**
 * One complaint fails the component. A peer that is silent is named, and fails it only when nobody answered at all.
 *
 * @param offline - nodes that would talk to the component and have no session
 */
export function judgePeers(component: Component, answers: readonly Answered[], offline: readonly string[]): Check {
  const silent = answers.filter((it) => it.answer === undefined).map((it) => it.node);
  const concerned = answers.filter((it) => it.answer?.concerned);
  const complaints = concerned.flatMap((it) => evidenceOf(it.node, it.answer?.complaints));
  const confirmations = concerned.flatMap((it) => evidenceOf(it.node, it.answer?.confirmations));
  const absent = [...nameThem('no answer from', silent), ...nameThem('not connected:', offline)];
  const summary = (text: string) => [text, ...absent].join('; ');
  if (complaints.length > 0) {
    const who = [...new Set(concerned.filter((it) => it.answer?.complaints.length).map((it) => it.node))];
    return check(CheckResult.FAILED, summary(`${who.join(', ')} complain about ${component}`), complaints);
  }
  if (answers.length > 0 && silent.length === answers.length) {
    return check(CheckResult.FAILED, summary(`none of ${answers.length} peers answered`), []);
  }
  if (concerned.length === 0) return check(CheckResult.SKIPPED, summary('no peer runs anything that talks to it'), []);
  const text = `${concerned.length} ${concerned.length === 1 ? 'peer has' : 'peers have'} no complaint`;
  return check(CheckResult.PASSED, summary(text), confirmations);
}

function check(result: CheckResult, summary: string, evidence: Evidence[]): Check {
  return create(CheckSchema, { kind: CheckKind.PEERS, result, summary, evidence: evidence.slice(0, MOST_LINES) });
}

function evidenceOf(node: string, lines: readonly Evidence[] = []): Evidence[] {
  return lines.slice(0, MOST_LINES).map((line) =>
    create(EvidenceSchema, {
      ...line,
      source: `node ${node}: ${line.source}`.slice(0, MOST_CHARS),
      line: line.line.slice(0, MOST_CHARS),
    }),
  );
}

function nameThem(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
  return [`${what} ${names.slice(0, 5).join(', ')}${more}`];
}
