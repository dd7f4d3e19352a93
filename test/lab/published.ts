/** What pods and nodes hold of a cluster while it is changed: a service account's token, and the roots that the cluster publishes. */
import assert from 'node:assert/strict';
import type { Host } from './host.ts';

const KUBECTL = 'kubectl --kubeconfig /etc/kubernetes/admin.conf';
const ACCOUNT = 'kube-mtls-test';
/** The controller manager publishes a new root when it sees it. */
const PUBLISHED_MS = 60_000;

/** What a cluster has given out. */
export interface Published {
  /** Of a service account; as Kubernetes made it, valid until its account is gone, or a day where it is asked for. */
  token: string;
  /** kube-root-ca.crt of the namespace default, PEM. */
  podRoots: string;
  /** The kubeconfig by which new nodes find the cluster; '' where kubeadm has not made it. */
  clusterInfo: string;
}

/** Makes a service account, and returns what it and others are given. */
export async function readPublished(controlPlane: Host): Promise<Published> {
  await controlPlane.sh(`${KUBECTL} create serviceaccount ${ACCOUNT}`);
  const fromSecret = `name=$(${KUBECTL} get serviceaccount ${ACCOUNT} -o jsonpath='{.secrets[0].name}')
[ -n "$name" ]; ${KUBECTL} get secret "$name" -o jsonpath='{.data.token}' | base64 -d`;
  const askedFor = `${KUBECTL} create token ${ACCOUNT} --duration 24h`; // since 1.24
  const token = await controlPlane.until('a token', async () => {
    const asked = await controlPlane.run(['bash', '-c', askedFor]);
    return asked.code === 0 ? asked.stdout.trim() : await controlPlane.sh(fromSecret);
  });
  return { token, podRoots: await podRootsOf(controlPlane), clusterInfo: await clusterInfoOf(controlPlane) };
}

/** Throws unless what was given out before is what is given out now, and the token is believed by an API server that the roots prove. */
export async function assertStillGood(controlPlane: Host, before: Published): Promise<void> {
  assert.equal(await podRootsOf(controlPlane), before.podRoots);
  assert.equal(await clusterInfoOf(controlPlane), before.clusterInfo);
  await assertBelieved(controlPlane, before);
}

/** Throws unless pods are given other roots by now, by which the token from before still works, and the old ones prove nothing. */
export async function assertMoved(controlPlane: Host, before: Published): Promise<void> {
  await controlPlane.until(
    'new roots for pods',
    async () => {
      const podRoots = await podRootsOf(controlPlane);
      if (podRoots === before.podRoots) return false;
      await assertBelieved(controlPlane, { ...before, podRoots });
      return true;
    },
    PUBLISHED_MS,
  );
  const { code } = await ask(controlPlane, before.podRoots, before.token);
  assert.equal(code, 60, 'the old roots still prove the API server');
}

async function assertBelieved(controlPlane: Host, { token, podRoots }: Published): Promise<void> {
  assert.deepEqual(await ask(controlPlane, podRoots, token), { code: 0, status: '200' });
  assert.match((await ask(controlPlane, podRoots, 'no.token.atall')).status, /^40[13]$/);
}

/** Asks for the API groups, which every account may see and nobody without one. */
async function ask(controlPlane: Host, roots: string, token: string): Promise<{ code: number; status: string }> {
  await controlPlane.write('/root/pod-roots.crt', roots);
  const words = ['curl', '-s', '-m', '10', '-o', '/dev/null', '-w', '%{http_code}', '--cacert', '/root/pod-roots.crt'];
  const url = `https://${controlPlane.ip}:6443/apis`;
  const { code, stdout } = await controlPlane.run([...words, '-H', `Authorization: Bearer ${token}`, url]);
  return { code, status: stdout };
}

function podRootsOf(controlPlane: Host): Promise<string> {
  return controlPlane.sh(`${KUBECTL} get configmap kube-root-ca.crt -n default -o jsonpath='{.data.ca\\.crt}'`);
}

async function clusterInfoOf(controlPlane: Host): Promise<string> {
  const info = `${KUBECTL} get configmap cluster-info -n kube-public --ignore-not-found -o jsonpath='{.data.kubeconfig}'`;
  return await controlPlane.sh(info);
}
