/** An agent that is killed at a checkpoint of its change, as its crash tests allow on test hosts alone. */
import assert from 'node:assert/strict';
import type { Checkpoint } from '../../agent/stage/checkpoints.ts';
import type { Host } from './host.ts';

const DROP_IN = '/etc/systemd/system/kube-mtls-agent.service.d/crash.conf';
const DEATH_MS = 180_000;
const RECOVERY_MS = 120_000;

/** Starts the agent in a mode so that it is killed at a checkpoint, and waits for its death. */
export async function dieAt(host: Host, checkpoint: Checkpoint, mode: 'enforce' | 'observe'): Promise<void> {
  await host.sh('systemctl stop kube-mtls-agent; systemctl reset-failed kube-mtls-agent || true');
  const environment = `Environment=KUBE_MTLS_CRASH_AT=${checkpoint}`;
  await host.write(DROP_IN, `[Service]\nRestart=no\n${environment}\nRuntimeDirectoryPreserve=yes\n`);
  await host.sh(`systemctl daemon-reload; kube-mtls-agent mode ${mode}
mkdir -p -m 0700 /run/kube-mtls-agent; touch /run/kube-mtls-agent/allow-crash-tests; systemctl start kube-mtls-agent`);
  const state = 'systemctl show -p ActiveState,Result kube-mtls-agent';
  const isDead = async () => (await host.sh(state)).includes('ActiveState=failed');
  await host.until(`the agent to die at ${checkpoint}`, isDead, DEATH_MS);
  assert.match(await host.sh(state), /Result=signal/);
}

/** Starts the agent with nothing to die at; it observes, so that it recovers and begins nothing new. */
export async function recover(host: Host): Promise<void> {
  await host.sh(`rm -f ${DROP_IN} /run/kube-mtls-agent/allow-crash-tests; systemctl reset-failed kube-mtls-agent || true
systemctl daemon-reload; kube-mtls-agent mode observe; systemctl start kube-mtls-agent`);
  await untilRecovered(host);
}

/** Waits until the agent runs and no unfinished change is left. */
export async function untilRecovered(host: Host): Promise<void> {
  const changes = 'ls /var/lib/kube-mtls-agent/changes 2>/dev/null || true';
  const hasRecovered = async () =>
    (await host.run(['kube-mtls-agent', 'status'])).code === 0 && !(await host.sh(changes)).includes('20');
  await host.until('the agent to have recovered', hasRecovered, RECOVERY_MS);
}
