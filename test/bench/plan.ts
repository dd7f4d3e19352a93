/** Time of a plan, against how often the agent makes one. */
import { parseAgentConfig } from '../../agent/config/agent-config.ts';
import { FakeCluster } from '../../agent/plan/fake-cluster.ts';
import type { PlanInput } from '../../agent/plan/plan-input.ts';
import { planNode } from '../../agent/plan/plan-node.ts';
import { AppError } from '../../common/errors/app-error.ts';
import { type Bench, type BenchResult, digits, type Figure, median } from './figure.ts';

const MEASURE_MS = 2000;
const WARM_UP = 20;

/** The bench. */
export const plan: Bench = {
  name: 'plan',
  about: 'time of a plan, against the interval of the reconcile loop',
  packages: [],
  run: measure,
};

async function measure(say: (text: string) => void, signal: AbortSignal): Promise<BenchResult> {
  const { reconcileInterval: intervalMs } = parseAgentConfig('', 'agent.yaml');
  const cluster = await FakeCluster.controlPlane();
  try {
    say('planning a control plane node that speaks plaintext to etcd');
    const before = await cluster.input();
    const first = await timesMs(before, 1, signal);
    await cluster.apply(planNode(before));
    say('planning it again, with nothing left to do');
    const settled = await timesMs(await cluster.input(), 0, signal);
    return {
      figures: [
        figureOf('plan of a first change (median)', median(first), intervalMs),
        figureOf('plan with nothing to do (median)', median(settled), intervalMs),
      ],
      notes: [
        `planNode for etcd and API server on the FakeCluster of agent/plan; the slowest of ${first.length + settled.length} took ${digits(Math.max(...first, ...settled))} ms. Looking at the node (files, systemctl, etcd) is not in it.`,
      ],
    };
  } finally {
    await cluster.remove();
  }
}

/** Times of single plans. */
async function timesMs(input: PlanInput, changes: number, signal: AbortSignal): Promise<number[]> {
  for (let count = 0; count < WARM_UP; count++) {
    const found = planNode(input);
    if (found.changes.length !== changes || found.problems.length > 0) {
      throw new AppError('internal', `a plan of ${changes} changes was expected: ${JSON.stringify(found.problems)}`);
    }
  }
  const times: number[] = [];
  for (const endMs = performance.now() + MEASURE_MS; performance.now() < endMs; ) {
    const startMs = performance.now();
    planNode(input);
    times.push(performance.now() - startMs);
    await new Promise(setImmediate); // signals are taken only between turns
    signal.throwIfAborted();
  }
  return times;
}

function figureOf(what: string, ms: number, intervalMs: number): Figure {
  const against = `reconcile interval ${digits(intervalMs / 1000)} s`;
  return { what, ours: `${digits(ms)} ms`, against, ratio: ms / intervalMs, better: 'less' };
}
