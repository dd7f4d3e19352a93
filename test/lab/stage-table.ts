/** How long each component of a fleet stood at each stage of its change, from the server's events: where a rollout spends its time. */

/** An event in the JSON of the API, as far as it is read. */
export interface StageEvent {
  /** RFC 3339. */
  at: string;
  /** "component.applying". */
  kind: string;
  node?: string;
  /** "etcd is applying: …". */
  message: string;
}

/** What comes before the end, in that order. */
const STAGES = ['pending', 'waiting-for-permit', 'applying', 'verifying'] as const;
const ENDED = ['verified', 'rolled-back', 'failed'];
type Stage = (typeof STAGES)[number];
type Row = Record<Stage, number>;

/**
 * Seconds by node, component and stage, those that took longest first, and their sums. What stands at a stage still is counted until then.
 *
 * @param events - in any order
 * @param sinceMs - what was before does not count; milliseconds since the epoch, as untilMs
 */
export function stageTable(events: readonly StageEvent[], sinceMs: number, untilMs: number): string {
  const rows = new Map<string, Row>();
  const at = new Map<string, { stage: string; sinceMs: number }>();
  const count = (what: string, leftMs: number) => {
    const before = at.get(what);
    const stage = STAGES.find((each) => each === before?.stage);
    if (before === undefined || stage === undefined) return;
    const row = rows.get(what) ?? { pending: 0, 'waiting-for-permit': 0, applying: 0, verifying: 0 };
    row[stage] += Math.max(0, leftMs - Math.max(before.sinceMs, sinceMs));
    rows.set(what, row);
  };
  const ordered = events
    .map((event) => ({ ...event, atMs: Date.parse(event.at) }))
    .filter(({ atMs }) => atMs <= untilMs)
    .sort((one, other) => one.atMs - other.atMs);
  for (const { kind, node = '', message, atMs } of ordered) {
    const [, stage] = /^component\.([a-z-]+)$/.exec(kind) ?? [];
    const [, component] = /^([a-z-]+) is /.exec(message) ?? [];
    if (stage === undefined || component === undefined) continue;
    const what = `${node} ${component}`;
    count(what, atMs);
    at.set(what, { stage, sinceMs: atMs });
  }
  for (const [what, { stage }] of at) if (!ENDED.includes(stage)) count(what, untilMs);
  const changed = [...rows].filter(([, row]) => row.applying + row.verifying > 0);
  const total = ([, row]: [string, Row]) => STAGES.reduce((sum, stage) => sum + row[stage], 0);
  const lines = changed.toSorted((one, other) => total(other) - total(one)).map(([what, row]) => line(what, row));
  const sum = (stage: Stage) => changed.reduce((ms, [, row]) => ms + row[stage], 0);
  const sums: Row = {
    pending: sum('pending'),
    'waiting-for-permit': sum('waiting-for-permit'),
    applying: sum('applying'),
    verifying: sum('verifying'),
  };
  const head = `${'seconds'.padEnd(32)}${STAGES.map((stage) => stage.padStart(20)).join('')}`;
  return [head, ...lines, line('all', sums)].join('\n');
}

function line(what: string, row: Row): string {
  return `${what.padEnd(32)}${STAGES.map((stage) => (row[stage] / 1000).toFixed(1).padStart(20)).join('')}`;
}
