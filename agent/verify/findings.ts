/** Collects what a check saw, and judges it: one failure makes the check fail. */
import type { CheckKind, EvidenceRank } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { CheckOutcome, EvidenceLine } from './checks.ts';

/** Longest line of evidence, in characters (Evidence.line in types.proto). */
const MAX_LINE = 1000;

/** What each check sees, as far as it collects it itself. */
const RANKS: Record<CheckKind, EvidenceRank> = {
  unit: 'proof',
  handshake: 'proof',
  peers: 'proof',
  cluster: 'readiness',
  journal: 'hint',
};

/** What a check saw so far. */
export class Findings {
  readonly #kind: CheckKind;
  readonly #clock: Clock;
  readonly #seen: EvidenceLine[] = [];
  readonly #failures: EvidenceLine[] = [];
  /** How many of the failures are another server's silence. */
  #unanswered = 0;

  constructor(kind: CheckKind, clock: Clock) {
    this.#kind = kind;
    this.#clock = clock;
  }

  /** Something worth telling that is as it should be. */
  note(source: string, line: string): void {
    this.#seen.push(this.#line(source, line));
  }

  /** Something that must not be. */
  fail(source: string, line: string): void {
    this.#failures.push(this.#line(source, line));
  }

  /** Another server, which the component needs, did not answer. */
  unanswered(source: string, line: string): void {
    this.#unanswered++;
    this.fail(source, line);
  }

  /** Notes or fails. */
  expect(good: boolean, source: string, line: string): void {
    if (good) this.note(source, line);
    else this.fail(source, line);
  }

  /** True while nothing failed. */
  get good(): boolean {
    return this.#failures.length === 0;
  }

  /** The outcome: failures first, the first of them in the summary. */
  outcome(passedSummary: string): CheckOutcome {
    const first = this.#failures[0];
    const evidence = [...this.#failures, ...this.#seen];
    if (first === undefined) return { kind: this.#kind, result: 'passed', summary: passedSummary, evidence };
    const more = this.#failures.length > 1 ? ` (and ${this.#failures.length - 1} more)` : '';
    const summary = `${first.source}: ${first.line}${more}`;
    const unanswered = this.#unanswered === this.#failures.length;
    return { kind: this.#kind, result: 'failed', summary, evidence, ...(unanswered ? { unanswered } : {}) };
  }

  /** The outcome of a check that does not apply; failures are still failures. */
  skipped(reason: string): CheckOutcome {
    const outcome = this.outcome(reason);
    return outcome.result === 'failed' ? outcome : { ...outcome, result: 'skipped' };
  }

  #line(source: string, line: string): EvidenceLine {
    return {
      source,
      line: line.slice(0, MAX_LINE),
      observedAtMs: this.#clock.nowMs(),
      cause: '',
      rank: RANKS[this.#kind],
    };
  }
}
