/**
 * Judges what clients of an API server met while a cluster was changed: a pure function over the recorded calls. Nothing is forgiven
 * for its time alone: each rule names whose calls it is about, the words that were seen, what explains them, and how many.
 */
import type { Missed, ProbeReport, Span } from './probe-clients.ts';
import type { Restarts, RestartWindow } from './restart-windows.ts';

/** What a cluster of this kind promises. */
export interface ProbeLimits {
  /** Every client was answered more often than that, else nothing is proven. */
  answered: number;
  /** The longest absence of the API server for one planned restart, milliseconds, where it starts within {@link startMs}. */
  outageMs: number;
  /**
   * How long an API server needs from its start to its first answer on an idle machine, milliseconds. Where one needs longer in this run,
   * what is promised stretches by as much.
   */
  startMs: number;
  /** The greatest age of a lease, milliseconds: the controller manager takes a node for gone after it (--node-monitor-grace-period). */
  leaseMs: number;
}

/** What is wrong, and how many calls were forgiven, by client and rule: "kubectl: 3 because the API server was away". */
export interface ProbeJudgement {
  complaints: string[];
  forgiven: string[];
}

/** Calls that are forgiven. */
interface Rule {
  because: string;
  kind: 'refused' | 'away';
  /** Whose; of everybody unless it is named. */
  client?: string;
  words: RegExp;
  /** What explains them, each for at most so many calls of one client. */
  causes: readonly Span[];
  most: number;
}

/**
 * Whose lease elects a leader. One that cannot renew it for ten seconds ends itself (--leader-elect-renew-deadline), and its successor
 * waits until it has run out: the time without an API server comes on top.
 */
const LEADER = 'controller manager lease';
/** A machine that is slower than that proves nothing. */
const MOST_SLOWNESS = 4;
/** A prober calls five times a second. */
const CALLS_A_SECOND = 5;
/** Two turns of the prober: how exactly it knows the time of anything. */
const MARGIN_MS = 400;

/** A server that is not there, or that ends with calls under way; it resets a connection that waits to be taken as it closes its port. */
const NOBODY =
  /^(?:connect (?:ECONNREFUSED|ECONNRESET)|(?:read|write) (?:ECONNRESET|EPIPE)|socket hang up|no answer in time|.*before secure TLS connection)/;
/** An API server that is not ready says so itself, or waits in vain for its etcd. */
const NOT_READY =
  /^50[034] .*(?:connect: connection refused|transport is closing|context deadline exceeded|request timed out|Timeout: request did not complete|shutting down|not ready|"reason":"(?:ServiceUnavailable|Timeout)")/s;
/** An API server that has not read its roles yet; masters never meet it. */
const NO_ROLES = /^403 .* is forbidden: User \\"system:[^"]*\\" cannot /s;
/**
 * What an API server passes on of an etcd that ends the calls under way, since over TLS it waits for none as it stops, and of members that
 * elect another leader: google.golang.org/grpc v1.27 (internal/transport/http_util.go, http2_server.go), etcd v3.4
 * (etcdserver/api/v3rpc/rpctypes/error.go).
 */
const CUT_BY_ETCD =
  /^50[034] .*"message":"(?:rpc error: code = (?:Unknown|Internal|Unavailable|Canceled) desc = (?:OK: HTTP status code 200; transport: missing content-type field|(?:transport: )*the stream is done or WriteHeader was already called|transport is closing|server closed the stream without sending trailers|stream terminated by RST_STREAM with error code: \w+|context canceled|etcdserver: [a-z ,]+)|etcdserver: (?:leader changed|no leader|server stopped|request timed out[a-z ,]*))"/s;
/** What an API server says that meets no kubelet, or loses it. */
const KUBELET_GONE = /^50[0234] .*dial tcp [^"]*:10250: connect: connection refused"/s;
const KUBELET_CUT =
  /^50[0234] .*error trying to reach service: [^"]*(?:EOF|connection reset by peer|transport connection broken)/s;

/** kubelet of v1.20.2 is away for two to seventeen seconds on two busy cores (three control planes, 30 November 2026: nineteen calls). */
const MOST_WITHOUT_KUBELET = 60;
/** Of one client five seconds long, since the API server is there but does not say yet that it is ready. */
const MOST_WITHOUT_ROLES = 25;
/** The call that is under way, and one that is made in the same moment. */
const MOST_CUT = 2;

/**
 * Tells all that is wrong with a report.
 *
 * @param restarts what was planned: each restart of the API server or of its etcd explains one outage
 */
export function judgeProbes(report: ProbeReport, restarts: Restarts, promised: ProbeLimits): ProbeJudgement {
  const limits = stretched(promised, slownessOf(report.outages, restarts, promised.startMs));
  const complaints: string[] = [];
  const forgiven: string[] = [];
  const { explained, unexplained } = matchOutages(report.outages, [...restarts.apiServer, ...restarts.etcd]);
  for (const outage of unexplained)
    complaints.push(`the API server was away ${spanText(outage)}, and no restart explains it`);
  for (const outage of report.outages) {
    // a change of etcd and its API server together is two restarts in one absence
    const restarted = [restarts.apiServer, restarts.etcd].filter((all) => all.some((each) => isWithin(each, outage)));
    const mostMs = limits.outageMs * Math.max(1, restarted.length);
    if (lengthOf(outage) <= mostMs) continue;
    complaints.push(`the API server was away ${spanText(outage)}: longer than ${(mostMs / 1000).toFixed(1)} s`);
  }
  const awayMs = report.outages.reduce((sum, outage) => sum + lengthOf(outage), 0);
  const rules = rulesOf(explained, restarts, limits);
  for (const [client, count] of Object.entries(report.clients)) {
    if (count.answered <= limits.answered) {
      complaints.push(`${client} was answered ${count.answered} times: too few to prove anything`);
    }
    const mostMs = limits.leaseMs + (client === LEADER ? awayMs : 0);
    if (count.oldestMs > mostMs) complaints.push(`${client} was ${count.oldestMs / 1000} s old`);
    for (const kind of ['refused', 'away'] as const) {
      const judged = judgeCalls(
        client,
        count[kind],
        rules.filter((rule) => rule.kind === kind),
      );
      complaints.push(...judged.complaints);
      forgiven.push(...judged.forgiven);
    }
  }
  return { complaints, forgiven };
}

/**
 * Tells all that is wrong where no absence explains anything: behind a load balancer that asks for readiness. Who reached nobody is no
 * part of it.
 */
export function judgeRefusals({ clients }: ProbeReport, limits: Pick<ProbeLimits, 'answered' | 'leaseMs'>): string[] {
  const noRestarts = { apiServer: [], etcd: [], kubelet: [] };
  const withoutAway = Object.entries(clients).map(([client, count]) => [client, { ...count, away: [] }]);
  const report = { clients: Object.fromEntries(withoutAway), outages: [] };
  return judgeProbes(report, noRestarts, { ...limits, outageMs: 0, startMs: 1 }).complaints;
}

/** How many times as long as on an idle machine the slowest API server of a planned restart needed to start; from 1 to {@link MOST_SLOWNESS}. */
function slownessOf(outages: readonly Span[], { apiServer }: Restarts, startMs: number): number {
  const starts = outages.flatMap(({ fromMs, untilMs }) =>
    apiServer
      .filter((restart) => isWithin(restart, { fromMs, untilMs }))
      .map(({ restartedMs }) => untilMs - restartedMs),
  );
  return Math.min(MOST_SLOWNESS, Math.max(1, ...starts.map((start) => start / startMs)));
}

function stretched({ outageMs, leaseMs, ...others }: ProbeLimits, slowness: number): ProbeLimits {
  return { ...others, outageMs: outageMs * slowness, leaseMs: leaseMs * slowness };
}

function rulesOf(outages: readonly Span[], { etcd, kubelet }: Restarts, { outageMs }: ProbeLimits): Rule[] {
  const stops = etcd.map(({ fromMs, restartedMs }) => ({ fromMs, untilMs: restartedMs }));
  const inOutage = { causes: outages, most: (CALLS_A_SECOND * outageMs) / 1000 };
  return [
    { because: 'the API server was away', kind: 'away', words: NOBODY, ...inOutage },
    { because: 'the API server was not ready', kind: 'away', words: NOT_READY, ...inOutage },
    {
      ...{ because: 'the API server had not read its roles', kind: 'refused', words: NO_ROLES },
      ...{ causes: outages, most: MOST_WITHOUT_ROLES },
    },
    { because: 'etcd cut the call', kind: 'away', words: CUT_BY_ETCD, causes: [...stops, ...outages], most: MOST_CUT },
    {
      ...{ because: 'kubelet was away', kind: 'away', client: 'kubelet logs', words: KUBELET_GONE },
      ...{ causes: kubelet, most: MOST_WITHOUT_KUBELET },
    },
    {
      ...{ because: 'kubelet cut the call', kind: 'away', client: 'kubelet logs', words: KUBELET_CUT },
      ...{ causes: kubelet, most: MOST_CUT },
    },
  ];
}

/** Each restart explains one outage that overlaps it: those that end first are given away first. */
function matchOutages(outages: readonly Span[], restarts: readonly Span[]) {
  const free = restarts.toSorted((one, other) => one.untilMs - other.untilMs);
  const explained: Span[] = [];
  const unexplained: Span[] = [];
  for (const outage of outages.toSorted((one, other) => one.fromMs - other.fromMs)) {
    const index = free.findIndex((restart) => areTogether(outage, restart));
    if (index < 0) unexplained.push(outage);
    else {
      free.splice(index, 1);
      explained.push(outage);
    }
  }
  return { explained, unexplained };
}

function judgeCalls(client: string, calls: readonly Missed[], rules: readonly Rule[]): ProbeJudgement {
  const left = new Map<Rule, number[]>(rules.map((rule) => [rule, rule.causes.map(() => rule.most)]));
  const counts = new Map<string, number>();
  const complaints: string[] = [];
  for (const call of calls) {
    const rule = rules.find((each) => isForgiven(client, call, each, left.get(each) ?? []));
    if (rule === undefined) complaints.push(`${client} ${spanText(call)}: ${call.why.trim()}`);
    else counts.set(rule.because, (counts.get(rule.because) ?? 0) + 1);
  }
  const forgiven = [...counts].map(([because, count]) => `${client}: ${count} because ${because}`);
  return { complaints, forgiven };
}

/** Takes one from what is left of a cause when it is. */
function isForgiven(client: string, call: Missed, rule: Rule, left: number[]): boolean {
  if (!rule.words.test(call.why) || (rule.client !== undefined && rule.client !== client)) return false;
  for (const [index, cause] of rule.causes.entries()) {
    const count = left[index] ?? 0;
    if (count === 0 || !areTogether(call, cause)) continue;
    left[index] = count - 1;
    return true;
  }
  return false;
}

function areTogether(one: Span, other: Span): boolean {
  return one.untilMs >= other.fromMs - MARGIN_MS && one.fromMs <= other.untilMs + MARGIN_MS;
}

/** Whether the new process ran within the span. */
function isWithin({ restartedMs }: RestartWindow, { fromMs, untilMs }: Span): boolean {
  return restartedMs >= fromMs && restartedMs <= untilMs;
}

function lengthOf({ fromMs, untilMs }: Span): number {
  return untilMs - fromMs;
}

/** "22:44:57.324Z for 1.2 s". */
function spanText(span: Span): string {
  return `${new Date(span.fromMs).toISOString().slice(11)} for ${(lengthOf(span) / 1000).toFixed(1)} s`;
}
