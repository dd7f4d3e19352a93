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

/** All that was asked and answered. */
export interface PeersHeard {
  /** What all said. */
  first: readonly Answered[];
  /** What those who complained, and one more, said when they were asked again; empty when nobody complained. */
  again: readonly Answered[];
  /** Nodes that would talk to the component and have no session. */
  offline: readonly string[];
  /** True for a node whose word is enough, which a worker's is not. */
  isTrusted: (node: string) => boolean;
}

/** The judgement. */
export interface PeersVerdict {
  check: Check;
  /** The only ones who complain, and went on complaining, where that is not enough to undo a change; the rollout shall stop for an operator. */
  lone: string[];
}

const MOST_LINES = 20;
const MOST_CHARS = 1000;

/** The nodes that complain. */
export function complainersOf(answers: readonly Answered[]): string[] {
  return answers.filter(({ answer }) => answer?.concerned && answer.complaints.length > 0).map(({ node }) => node);
}

/**
 * A complaint counts when it was made again. It fails the component when a control plane makes it, or most of those that talk to the
 * component; a worker, which anybody may have taken over, does not undo a change alone. A peer that is silent is named, and fails it
 * only when nobody answered at all.
 */
export function judgePeers(component: Component, { first, again, offline, isTrusted }: PeersHeard): PeersVerdict {
  const silent = first.filter(({ answer }) => answer === undefined).map(({ node }) => node);
  const concerned = first.filter(({ answer }) => answer?.concerned);
  const absent = [...nameThem('no answer from', silent), ...nameThem('not connected:', offline)];
  const complainers = complainersOf(again);
  const over = complainersOf(first).filter((node) => !complainers.includes(node));
  const summary = (text: string) =>
    [text, ...nameThem('complained, and no more when asked again:', over), ...absent].join('; ');
  const complaints = again.flatMap(({ node, answer }) => evidenceOf(node, answer?.complaints));
  if (complainers.length > 0) {
    const who = namesOf(complainers);
    // who is silent does not complain
    const isMost = complainers.length * 2 > concerned.length + silent.length;
    if (isMost || complainers.some(isTrusted)) {
      const text = summary(`${who} complain about ${component}`);
      return { check: check(CheckResult.FAILED, text, complaints), lone: [] };
    }
    const text = `${who} alone ${complainers.length === 1 ? 'complains' : 'complain'} about ${component}`;
    const kept = `${text}, out of ${concerned.length + silent.length}: the change is kept, the rollout stops`;
    return { check: check(CheckResult.PASSED, summary(kept), complaints), lone: complainers };
  }
  if (first.length > 0 && silent.length === first.length) {
    return { check: check(CheckResult.FAILED, summary(`none of ${first.length} peers answered`), []), lone: [] };
  }
  if (concerned.length === 0)
    return { check: check(CheckResult.SKIPPED, summary('no peer runs anything that talks to it'), []), lone: [] };
  const confirmations = concerned.flatMap(({ node, answer }) => evidenceOf(node, answer?.confirmations));
  const text = `${concerned.length} ${concerned.length === 1 ? 'peer has' : 'peers have'} no complaint`;
  return { check: check(CheckResult.PASSED, summary(text), confirmations), lone: [] };
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
  return names.length === 0 ? [] : [`${what} ${namesOf(names)}`];
}

/** At most five of them. */
function namesOf(names: readonly string[]): string {
  const more = names.length > 5 ? ` and ${names.length - 5} more` : '';
  return `${names.slice(0, 5).join(', ')}${more}`;
}
