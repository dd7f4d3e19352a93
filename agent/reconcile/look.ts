/** Looks at the node and asks the server what it should be like: everything that a plan is made from. */
import { randomBytes } from 'node:crypto';
import { AppError } from '../../common/errors/app-error.ts';
import { type Authority, authorities, rotationPhases } from '../../common/names/names.ts';
import type { RunCommand } from '../../common/run/command.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { TrustBundle } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { detectNode } from '../detect/detect-node.ts';
import type { DetectedEtcd } from '../detect/detected.ts';
import type { DetectOverrides } from '../detect/overrides.ts';
import type { OnNotAsked } from '../detect/version.ts';
import type { KeyChoice } from '../keys/choose-algorithm.ts';
import type { Layout } from '../layout.ts';
import type { ServerLink } from '../link/server-link.ts';
import type { AuthorityRotation, PlanInput } from '../plan/plan-input.ts';
import { readInstalled } from '../plan/read-installed.ts';
import { readTrust } from '../plan/read-trust.ts';
import type { NodeSettings } from '../plan/settings.ts';
import { localEtcdCluster } from '../verify/local-etcd.ts';
import type { Probe } from '../verify/probe.ts';

/** Dependencies. */
export interface LookDeps {
  layout: Layout;
  run: RunCommand;
  clock: Clock;
  link: ServerLink;
  /** Asks the local etcd member. */
  probe: Probe;
  /** What agent.yaml says of this node's components. */
  overrides: DetectOverrides;
  /** Told of programs that are not asked for their version. */
  onNotAsked: OnNotAsked;
  keyAlgorithm: KeyChoice;
}

/** Gathers the input of a plan. Rejects 'unavailable' when the server does not answer. */
export async function lookAtNode(deps: LookDeps, settings: NodeSettings, signal: AbortSignal): Promise<PlanInput> {
  const { layout, run, clock, link, probe, overrides, onNotAsked, keyAlgorithm } = deps;
  const detected = await detectNode({ layout, run, overrides, onNotAsked }, signal);
  const components = detected.components.map(({ component }) => component);
  const etcd = detected.components.find((each): each is DetectedEtcd => each.component === 'etcd');
  const { certificates } = await link.calls();
  const { bundles } = await certificates.getTrustBundles({}, { signal });
  return {
    detected,
    layout,
    settings,
    current: await readInstalled(layout, components),
    trust: await readTrust(detected, layout),
    bundles: new Map<Authority, string>(
      bundles.flatMap(({ authority, rootsPem }) => {
        const word = authorities.toWord(authority);
        return word === undefined ? [] : [[word, rootsPem] as const];
      }),
    ),
    rotation: rotationOf(bundles),
    etcdCluster: etcd === undefined ? undefined : await localEtcdCluster(layout, etcd, signal, probe),
    keyAlgorithm,
    nowMs: clock.nowMs(),
    changeId: () => newChangeId(clock.nowMs()),
  };
}

/**
 * How far each authority's change of root has come. A server that says nothing of it, as one of an older version, is no server
 * without the key: such an authority is left out.
 *
 * @throws AppError 'invalid-request' for a phase that this version does not know: whatever it did could lock somebody out
 */
export function rotationOf(
  bundles: readonly Pick<TrustBundle, 'authority' | 'phase' | 'issuingPin' | 'retiredRootsPem'>[],
): Map<Authority, AuthorityRotation> {
  const rotation = new Map<Authority, AuthorityRotation>();
  for (const { authority, phase: number, issuingPin, retiredRootsPem: retiredPem } of bundles) {
    const word = authorities.toWord(authority);
    if (word === undefined) continue;
    const phase = rotationPhases.toWord(number);
    if (phase === undefined)
      throw new AppError(
        'invalid-request',
        `the server is in an unknown phase of changing the ${word} CA: upgrade the agent`,
      );
    if (phase !== 'settled' || issuingPin !== '') rotation.set(word, { phase, issuingPin, retiredPem });
  }
  return rotation;
}

/** "20260102T030405Z-1a2b3c": sorts by time, unique on the node. */
export function newChangeId(nowMs: number): string {
  const time = new Date(nowMs).toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '');
  return `${time}-${randomBytes(3).toString('hex')}`;
}
