/** Answers what this node knows of another node's component: calls it as its own components do, and watches their journals. */
import { create } from '@bufbuild/protobuf';
import { durationMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { components as componentWords } from '../../common/names/names.ts';
import type { Places } from '../../common/run/places.ts';
import { type PeerAnswer, PeerAnswerSchema, type PeerQuestion } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { Detected } from '../detect/detected.ts';
import type { FindingLog } from '../journal/finding-log.ts';
import { complaintsAbout } from '../journal/peer-complaints.ts';
import { evidenceMessage } from '../report/status-message.ts';
import type { LiveDeps } from '../verify/check-handshake.ts';
import { probeAsPeer } from '../verify/peer-probe.ts';

/** Dependencies. */
export interface AnswerDeps extends LiveDeps {
  findings: FindingLog;
  /** Undefined until the node was looked at for the first time. */
  components(): Detected[] | undefined;
  /** This node's monotonic clock less the server's time, in milliseconds. */
  offsetMs(): number;
  /** For the calls of an answer: a server asks about many components at once, and each answer may call a dozen addresses. */
  places: Places;
}

/** The longest watch that a server may ask for. */
const MAX_WATCH_MS = 120_000;

/**
 * Watches for as long as the question says, then calls: a component that held a connection open complains only later.
 *
 * @throws AppError invalid-request for a component that this version does not know, unavailable before the node was looked at:
 *   silence is not consent, while "nothing here is concerned" would be; rate-limited when too many answers wait to make their calls
 */
export async function answerPeerQuestion(
  deps: AnswerDeps,
  question: PeerQuestion,
  signal: AbortSignal,
): Promise<PeerAnswer> {
  const component = componentWords.toWord(question.component);
  if (component === undefined) throw new AppError('invalid-request', 'the question is about an unknown component');
  const { endpoints, sharedEndpoints, serial, questionId } = question;
  const sinceMs = (question.since === undefined ? 0 : timestampMs(question.since)) + deps.offsetMs();
  const watchMs = Math.min(question.watch === undefined ? 0 : durationMs(question.watch), MAX_WATCH_MS);
  await deps.clock.sleep(watchMs, signal);
  const known = deps.components();
  if (known === undefined) throw new AppError('unavailable', 'this node has not looked at its components yet');
  const subject = { component, endpoints, sharedEndpoints, serial };
  const word = await deps.places.run(() => probeAsPeer(deps, subject, known, signal));
  const asked = { component, endpoints, sharedEndpoints, sinceMs };
  const complaints = [...complaintsAbout(deps.findings, asked), ...word.complaints];
  return create(PeerAnswerSchema, {
    questionId,
    concerned: word.concerned || complaints.length > 0,
    complaints: complaints.map(evidenceMessage),
    confirmations: [...word.confirmations, ...word.notes].map(evidenceMessage),
  });
}
