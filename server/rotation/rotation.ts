/** The change of roots without an outage: trust both, reissue everything, drop the old, each complete before the next begins. */
import { fromBinary } from '@bufbuild/protobuf';
import { AppError } from '../../common/errors/app-error.ts';
import type { Log } from '../../common/log/log.ts';
import type { RotationPhase } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import { InventorySchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { ChangingAuthorities } from '../authority/authorities.ts';
import type { ClusterAuthority } from '../authority/import-authority.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import type { EventDraft, RotationRecord, Store } from '../store/store.ts';
import { type ChangingRoot, heldByNew, waitingFor } from './completion.ts';
import { leftBehind, type NodeInventory } from './left-behind.ts';
import { abortedRecord, nextRecord, startedRecord } from './steps.ts';

/** What it needs. */
export interface RotationDeps {
  store: Pick<Store, 'putRotation' | 'listNodes' | 'getRollout' | 'listEvents' | 'getInventory'>;
  authorities: ChangingAuthorities;
  clock: Clock;
  components: () => FleetComponent[];
  isOnline: (node: string) => boolean;
  /** By the settings of which generation() the node's agent has looked at all of it; undefined before it has. */
  surveyed: (node: string) => bigint | undefined;
  /** Tells the agents. */
  pushSettings: () => Promise<void>;
  log: Log;
}

/** Who asks, for the audit. */
export interface By {
  /** "admin/root" or "server". */
  actor: string;
  /** Address, or ''. */
  source: string;
}

/** How it stands. */
export interface RotationView {
  record: RotationRecord;
  /** Sentences, see completion.ts; empty when the phase is complete or none is under way. */
  waitingFor: string[];
  /** Sentences, see left-behind.ts; only show() tells. */
  leftBehind?: string[];
}

/** The one change of roots of the fleet. */
export interface Rotation {
  /** Rises when the roots or what signs changes; it goes to the agents as Settings.trust_generation. */
  generation(): bigint;
  show(): Promise<RotationView>;
  /**
   * Makes new CAs and begins with the phase trust.
   *
   * @param authorities without repetitions, one at least
   * @throws AppError conflict while one is under way, or while the rollout is paused: what failed would fail in every phase
   */
  start(wish: { authorities: readonly ClusterAuthority[]; automatic: boolean }, by: By): Promise<RotationView>;
  /**
   * Begins the next phase.
   *
   * @param from what the caller takes for the phase under way
   * @throws AppError conflict while it is another, none, or not complete on every node
   */
  advance(from: RotationPhase, by: By): Promise<RotationView>;
  /**
   * Takes it back a step: from trust to where it began, from reissue to trust.
   *
   * @param from what the caller takes for the phase under way
   * @throws AppError conflict while it is another or none, in drop, while certificates of the new CA are in use in trust, and where the
   *   key of the old CA is not here
   */
  abort(from: RotationPhase, by: By): Promise<RotationView>;
  /** Goes on by itself where that was asked for and the phase is complete. Called after every report; never rejects. */
  check(): Promise<void>;
}

const STARTED = 'authority.rotation-started';

/** How often it is looked whether an automatic change can go on, besides after every report. */
const CHECK_MS = 60_000;

/** Makes it; the authorities know the record of the store. */
export function createRotation(deps: RotationDeps): Rotation {
  const { store, authorities, clock, log } = deps;
  let last: Promise<unknown> = Promise.resolve();

  /** One step after another: two starts at once would take each other's new CAs for leftovers. */
  function inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = last.then(step);
    last = result.catch(() => {}); // whoever asked is told
    return result;
  }

  async function view(): Promise<RotationView> {
    const record = authorities.record();
    const { phase } = record;
    if (phase === 'settled') return { record, waitingFor: [] };
    const nodes = (await store.listNodes()).filter((node) => !node.revoked);
    return {
      record,
      waitingFor: waitingFor({
        phase,
        roots: rootsOf(record),
        components: deps.components(),
        nodes: nodes.map(({ name }) => ({
          name,
          online: deps.isOnline(name),
          surveyed: (deps.surveyed(name) ?? -1n) >= BigInt(record.generation),
        })),
      }),
    };
  }

  async function inventories(): Promise<NodeInventory[]> {
    if (authorities.record().phase !== 'reissue') return [];
    const found: NodeInventory[] = [];
    for (const { name, revoked } of await store.listNodes()) {
      const bytes = revoked ? undefined : await store.getInventory(name);
      if (bytes !== undefined) found.push({ node: name, ...fromBinary(InventorySchema, bytes) });
    }
    return found;
  }

  async function put(record: RotationRecord, event: Pick<EventDraft, 'kind' | 'message'>, by: By): Promise<void> {
    await store.putRotation(record, [{ ...event, ...by, node: '', reason: '' }]);
    authorities.take(record);
    await authorities.forgetRetiredKeys(); // before anything else can fail
    await deps.pushSettings();
  }

  /** True in a phase trust that came after reissue: then certificates of the new CA may be about. */
  async function cameBack(): Promise<boolean> {
    const { rows } = await store.listEvents({ kind: 'authority' }, { size: 1, after: undefined });
    return rows[0]?.kind !== STARTED;
  }

  async function goOn(by: By): Promise<void> {
    const before = authorities.record();
    const record = nextRecord(before, clock.nowMs());
    const names = before.authorities.join(', ');
    if (record.phase !== 'settled') {
      const message = `the change of roots of ${names}: the phase ${before.phase} is complete, ${record.phase} begins`;
      return put(record, { kind: 'authority.phase', message }, by);
    }
    const message = `the change of roots of ${names} has ended: what was replaced or given up is trusted no more, and its key is removed`;
    return put(record, { kind: 'authority.rotation-ended', message }, by);
  }

  return {
    generation: () => BigInt(authorities.record().generation),
    show: async () => ({ ...(await view()), leftBehind: leftBehind(authorities.record(), await inventories()) }),

    start: (wish, by) =>
      inTurn(async () => {
        const before = authorities.record();
        if (before.phase !== 'settled') {
          const text = `a change of roots is in the phase ${before.phase}: see it to its end first (kube-mtls authority status)`;
          throw new AppError('conflict', text);
        }
        const { paused, reason } = await store.getRollout();
        if (paused) {
          const text = `the rollout is paused (${reason}): mend that, and let it go on first (kube-mtls rollout resume)`;
          throw new AppError('conflict', text);
        }
        const nowMs = clock.nowMs();
        const roots = [];
        for (const authority of wish.authorities) {
          const line = authorities.line(authority);
          roots.push({ line, pin: await authorities.make(authority, nowMs) });
        }
        const record = startedRecord(before, [...wish.authorities], roots, { automatic: wish.automatic, nowMs });
        const made = roots.map(({ line, pin }) => `${line.authority} ${pin}`).join(', ');
        const message = `a change of roots begins with the phase trust${wish.automatic ? ', and goes on by itself' : ''}; new CAs: ${made}`;
        await put(record, { kind: STARTED, message }, by);
        return view();
      }),

    advance: (from, by) =>
      inTurn(async () => {
        const { record, waitingFor: sentences } = await view();
        assertPhase(record.phase, from);
        if (sentences.length > 0) throw notComplete(`the phase ${from} is not complete on every node`, sentences);
        await goOn(by);
        return view();
      }),

    abort: (from, by) =>
      inTurn(async () => {
        const before = authorities.record();
        assertPhase(before.phase, from);
        const names = before.authorities.join(', ');
        if (before.phase === 'drop') {
          const text = `the old CA of ${names} is trusted no more where the phase drop has come: begin another change of roots instead`;
          throw new AppError('conflict', text);
        }
        const record = abortedRecord(before, clock.nowMs());
        if (record === undefined) {
          const text = `the key of the old CA of ${names} is not here, so that nothing could be signed by it: go on to the end`;
          throw new AppError('conflict', text);
        }
        if (before.phase === 'reissue') {
          const message = `the change of roots of ${names} goes back to the phase trust: certificates come from the old CA again`;
          await put(record, { kind: 'authority.phase', message }, by);
          return view();
        }
        const components = deps.components();
        const held = (await cameBack()) ? heldByNew({ roots: rootsOf(before), components }) : [];
        if (held.length > 0) throw notComplete('the new CA cannot be given up yet', held);
        const message = `the change of roots of ${names} is taken back: nodes stop trusting the new CA`;
        await put(record, { kind: 'authority.rotation-aborted', message }, by);
        return view();
      }),

    check: () =>
      inTurn(async () => {
        if (!authorities.record().automatic) return;
        try {
          const { record, waitingFor: sentences } = await view();
          if (record.phase !== 'settled' && sentences.length === 0) await goOn({ actor: 'server', source: '' });
        } catch (error) {
          log.error('cannot go on with the change of roots', { error, retryMs: CHECK_MS });
        }
      }),
  };
}

/** @throws AppError conflict when no change is under way, or its phase is another than the caller takes it for */
function assertPhase(phase: RotationPhase, from: RotationPhase): void {
  if (phase === 'settled')
    throw new AppError('conflict', 'no change of roots is under way: begin one with kube-mtls authority rotate');
  if (phase !== from)
    throw new AppError('conflict', `the phase is ${phase}, not ${from}: look how it stands, and ask again`);
}

function notComplete(what: string, [first, ...more]: readonly string[]): AppError {
  const rest = more.length === 0 ? '' : `, and ${more.length} more`;
  return new AppError('conflict', `${what}: ${first}${rest}`);
}

/** What changes, for those authorities that do. */
function rootsOf({ lines, authorities }: RotationRecord): ChangingRoot[] {
  return lines
    .flatMap((line) => ({ line, authority: authorities.find((each) => each === line.authority) }))
    .flatMap(({ line: { current, retired }, authority }) =>
      authority === undefined ? [] : { authority, newPin: current, retiredPins: retired },
    );
}

/** Checks each minute until the signal fires. */
export async function watchRotation(
  rotation: Pick<Rotation, 'check'>,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await clock.sleep(CHECK_MS, signal);
    await rotation.check();
  }
}
