/** What verification answers. */
import type { CheckKind, CheckResult, EvidenceRank } from '../../common/names/names.ts';

/** A line that somebody can read and believe. */
export interface EvidenceLine {
  /** "journal etcd.service", "handshake 127.0.0.1:2379". */
  source: string;
  line: string;
  /** Milliseconds since the epoch. */
  observedAtMs: number;
  /** For a journal line the cause it was classified as, else ''. */
  cause: string;
  rank: EvidenceRank;
}

/** One check of a component. */
export interface CheckOutcome {
  kind: CheckKind;
  result: CheckResult;
  /** One sentence for a person. */
  summary: string;
  evidence: EvidenceLine[];
  /** True when it failed for nothing but another server that did not answer, which says nothing of the component. */
  unanswered?: boolean;
}
