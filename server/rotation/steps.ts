/** The records of a change of roots, one after another. Pure. */
import type { AuthorityLine, RotationRecord } from '../store/store.ts';

/** An authority that gets a new CA. */
export interface NewRoot {
  /** What counts of it until now. */
  line: AuthorityLine;
  /** sha256:HEX of the new CA's key. */
  pin: string;
}

/** The record with which a change begins, in the phase trust. */
export function startedRecord(
  before: RotationRecord,
  authorities: RotationRecord['authorities'],
  roots: readonly NewRoot[],
  { automatic, nowMs }: { automatic: boolean; nowMs: number },
): RotationRecord {
  const fresh = roots.map(({ line, pin }) => ({
    ...line,
    current: pin,
    old: [line.current, ...line.old],
    oldSigner: line.current,
  }));
  const kept = before.lines.filter((line) => fresh.every((each) => each.authority !== line.authority));
  return {
    generation: before.generation + 1,
    phase: 'trust',
    phaseStartedAtMs: nowMs,
    automatic,
    authorities: [...authorities],
    lines: sorted([...kept, ...fresh]),
  };
}

/** The record of the next phase: trust, reissue, drop, settled. What is settled stays. */
export function nextRecord(before: RotationRecord, nowMs: number): RotationRecord {
  const next = { ...before, generation: before.generation + 1, phaseStartedAtMs: nowMs };
  switch (before.phase) {
    case 'trust':
      return { ...next, phase: 'reissue' };
    case 'reissue':
      return {
        ...next,
        phase: 'drop',
        lines: before.lines.map((line) => (isChanging(before, line) ? drop(line) : line)),
      };
    case 'drop':
      return { ...next, phase: 'settled', automatic: false, authorities: [] };
    case 'settled':
      return before;
  }
}

function isChanging(record: RotationRecord, { authority }: AuthorityLine): boolean {
  return record.authorities.some((each) => each === authority);
}

/** Only the CA that was replaced goes. Nobody but the operator knows whose the other roots of the cluster's file are. */
function drop(line: AuthorityLine): AuthorityLine {
  const [replaced, ...companions] = line.old;
  const retired = replaced === undefined ? line.retired : [replaced, ...line.retired];
  return { ...line, old: companions, oldSigner: '', retired };
}

function sorted(lines: AuthorityLine[]): AuthorityLine[] {
  return lines.sort((a, b) => (a.authority < b.authority ? -1 : 1));
}
