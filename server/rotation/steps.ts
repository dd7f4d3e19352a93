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

/**
 * The record after the change is taken back a step. In trust the new CA is given up: nodes drop it, and the change goes to its end by
 * itself. In reissue certificates come from the old CA again, as in trust, and all nodes go on trusting both.
 *
 * @returns undefined in any other phase, and in trust where the key of an old CA is not here: nothing could be signed
 */
export function abortedRecord(before: RotationRecord, nowMs: number): RotationRecord | undefined {
  const next = { ...before, generation: before.generation + 1, phaseStartedAtMs: nowMs };
  const changing = before.lines.filter((line) => isChanging(before, line));
  if (changing.some(({ oldSigner }) => oldSigner === '')) return undefined;
  switch (before.phase) {
    case 'trust':
      return {
        ...next,
        phase: 'drop',
        automatic: true,
        lines: before.lines.map((line) => (isChanging(before, line) ? giveUp(line) : line)),
      };
    case 'reissue':
      return { ...next, phase: 'trust', automatic: false };
    default:
      return undefined;
  }
}

/** The CA that signed before signs again, and the new one is trusted no more. */
function giveUp(line: AuthorityLine): AuthorityLine {
  const old = line.old.filter((pin) => pin !== line.oldSigner);
  return { ...line, current: line.oldSigner, old, oldSigner: '', retired: [line.current, ...line.retired] };
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
