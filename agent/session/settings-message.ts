/** The server's settings as the agent uses them. */
import { durationMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { roles } from '../../common/names/names.ts';
import { EtcdStep, type Settings, KubeletVerification as Verification } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import type { KubeletVerification } from '../plan/settings.ts';
import type { AgentSettings } from '../report/agent-state.ts';

const DEFAULT_HEARTBEAT_MS = 10_000;
/** Whatever the server says, heartbeats are neither a flood nor so rare that a permit dies between two. */
const SHORTEST_HEARTBEAT_MS = 1_000;
const LONGEST_HEARTBEAT_MS = 60_000;

/**
 * Reads a settings message.
 *
 * @param nodeName - as this node is enrolled
 * @throws AppError invalid-request when it lacks what every plan needs; the agent then waits for better ones
 */
export function readSettings(message: Settings, nodeName: string): AgentSettings {
  const role = roles.toWord(message.role);
  const { cluster } = message;
  if (role === undefined || cluster === undefined) {
    throw new AppError(
      'invalid-request',
      'the server sent settings without role or cluster; upgrade the agent or the server',
    );
  }
  const { name, apiEndpoint, serviceAddress, dnsDomain } = cluster;
  const { heartbeatInterval } = message;
  return {
    generation: Number(message.generation),
    heartbeatMs: heartbeatMsOf(heartbeatInterval === undefined ? DEFAULT_HEARTBEAT_MS : durationMs(heartbeatInterval)),
    node: {
      nodeName,
      role,
      addresses: [...message.addresses],
      cluster: { name, apiEndpoint, serviceAddress, dnsDomain },
      kubeletVerification: kubeletVerificationOf(message.kubeletVerification),
      etcdStep: etcdStepOf(message.etcdStep),
    },
    rolloutPaused: message.rolloutPaused,
    retryGeneration: Number(message.retryGeneration),
    trustGeneration: Number(message.trustGeneration),
  };
}

function heartbeatMsOf(wantedMs: number): number {
  return Math.min(Math.max(wantedMs, SHORTEST_HEARTBEAT_MS), LONGEST_HEARTBEAT_MS);
}

function etcdStepOf(step: EtcdStep): 'prepare' | 'enforce' | undefined {
  if (step === EtcdStep.PREPARE) return 'prepare';
  return step === EtcdStep.ENFORCE ? 'enforce' : undefined;
}

/** What a newer server says and this agent does not know costs no restart. */
function kubeletVerificationOf(verification: Verification): KubeletVerification {
  switch (verification) {
    case Verification.AWAIT_KUBELETS:
      return 'await-kubelets';
    case Verification.WITH_RESTART:
      return 'with-restart';
    case Verification.AT_ONCE:
      return 'at-once';
    default:
      return 'no';
  }
}
