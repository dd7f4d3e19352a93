/** The difference of two texts as a unified diff (POSIX diff -u, without time stamps). */

/** A line that stays, goes or comes. */
interface Step {
  kind: ' ' | '-' | '+';
  line: string;
}

/** How many unchanged lines stand around a change. */
const context = 3;
/** Texts that have more to compare than this are shown as replaced; a table of that many numbers takes 16 MB. */
const largestTable = 4_000_000;
const noNewline = '\\ No newline at end of file';

/** The diff without its two header lines; '' when the texts are equal. */
export function diffLines(before: string, after: string): string {
  const steps = compare(splitLines(before), splitLines(after));
  const changed = steps.flatMap((step, index) => (step.kind === ' ' ? [] : [index]));
  const hunks: { start: number; end: number }[] = [];
  for (const index of changed) {
    const last = hunks.at(-1);
    if (last !== undefined && index - context <= last.end) last.end = index + context + 1;
    else hunks.push({ start: Math.max(0, index - context), end: index + context + 1 });
  }
  return hunks.map(({ start, end }) => renderHunk(steps, start, Math.min(end, steps.length))).join('');
}

function renderHunk(steps: readonly Step[], start: number, end: number): string {
  const count = (part: readonly Step[], other: '-' | '+') => part.filter(({ kind }) => kind !== other).length;
  const earlier = steps.slice(0, start);
  const part = steps.slice(start, end);
  const range = (other: '-' | '+') => {
    const lines = count(part, other);
    return `${count(earlier, other) + (lines === 0 ? 0 : 1)},${lines}`;
  };
  const lines = part.map(({ kind, line }) => {
    const text = line.endsWith('\n') ? line : `${line}\n${noNewline}\n`;
    return `${kind}${text}`;
  });
  return `@@ -${range('+')} +${range('-')} @@\n${lines.join('')}`;
}

/** Lines with their line breaks, so that a missing one at the end is a difference. */
function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** What both have at the beginning and the end is set aside; the rest goes by the longest common subsequence. */
function compare(before: readonly string[], after: readonly string[]): Step[] {
  const shorter = Math.min(before.length, after.length);
  let head = 0;
  while (head < shorter && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const middle = commonSubsequence(before.slice(head, before.length - tail), after.slice(head, after.length - tail));
  const kept = (line: string): Step => ({ kind: ' ', line });
  return [...before.slice(0, head).map(kept), ...middle, ...before.slice(before.length - tail).map(kept)];
}

function commonSubsequence(before: readonly string[], after: readonly string[]): Step[] {
  if (before.length * after.length > largestTable) {
    return [...before.map((line): Step => ({ kind: '-', line })), ...after.map((line): Step => ({ kind: '+', line }))];
  }
  const width = after.length + 1;
  // lengths[i * width + j]: how many lines before[i…] and after[j…] have in common
  const lengths = new Uint32Array((before.length + 1) * width);
  const at = (i: number, j: number) => lengths[i * width + j] ?? 0;
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      lengths[i * width + j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const steps: Step[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    const [gone, come] = [before[i], after[j]];
    if (gone !== undefined && gone === come) {
      steps.push({ kind: ' ', line: gone });
      i++;
      j++;
    } else if (gone !== undefined && (come === undefined || at(i + 1, j) >= at(i, j + 1))) {
      steps.push({ kind: '-', line: gone });
      i++;
    } else if (come !== undefined) {
      steps.push({ kind: '+', line: come });
      j++;
    }
  }
  return steps;
}
