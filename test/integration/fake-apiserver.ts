/** A kube-apiserver of a fake cluster: it knows its callers by their certificates and tells of nodes and leases. */
import { z } from 'zod';
import type { FakeKubernetes } from './fake-kubernetes.ts';
import type { FakeProgram } from './fake-machine.ts';
import { type FakeCaller, FakeListener, type TlsFiles } from './fake-network.ts';

const PORT = 6443;
const NODE = /^\/api\/v1\/nodes\/([^/]+)$/;
const NODE_LEASE = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/kube-node-lease\/leases\/([^/]+)$/;
const LEASE = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/kube-system\/leases\/([^/]+)$/;
const review = z.object({ kind: z.literal('SelfSubjectReview') });

/** The program. Its certificate and the roots of its callers are read anew, as dynamiccertificates does. */
export function fakeApiserver(kubernetes: FakeKubernetes): FakeProgram {
  return async ({ machine, flags, log }) => {
    const file = (flag: string) => machine.read(flags.get(flag) ?? '');
    const files = async (): Promise<TlsFiles> => ({
      cert: await file('tls-cert-file'),
      key: await file('tls-private-key-file'),
      ca: await file('client-ca-file'),
    });
    const listener = await FakeListener.open({
      files,
      answer: async ({ path, method, body }, caller) => {
        if (path.startsWith('/readyz')) return { status: 200, body: 'ok' };
        if (path === '/version') return { status: 200, body: '{}' };
        const refusal = refuse(caller);
        if (refusal !== undefined) return refusal;
        if (path === '/apis') return { status: 200, body: '{}' };
        if (method === 'POST' && review.safeParse(JSON.parse(body)).success) {
          return { status: 201, body: JSON.stringify({ status: { userInfo: { username: caller.user } } }) };
        }
        return answerOfCluster(kubernetes, path, await files());
      },
    });
    machine.network.listen(machine.address, PORT, listener);
    kubernetes.apiservers.set(machine.name, files);
    log(`Serving securely on [::]:${PORT}`);
    return {
      stop: () => {
        machine.network.leave(machine.address, PORT);
        kubernetes.apiservers.delete(machine.name);
        kubernetes.fewestApiservers = Math.min(kubernetes.fewestApiservers, kubernetes.apiservers.size);
      },
    };
  };
}

function refuse({ user, hasCertificate }: FakeCaller): { status: number; body: string } | undefined {
  if (user !== undefined) return undefined;
  if (hasCertificate) return { status: 401, body: 'Unauthorized' };
  return { status: 403, body: 'User "system:anonymous" cannot get path' };
}

async function answerOfCluster(kubernetes: FakeKubernetes, path: string, served: TlsFiles) {
  const name = NODE.exec(path)?.[1] ?? NODE_LEASE.exec(path)?.[1];
  if (name === undefined) return { status: LEASE.test(path) ? 404 : 403, body: 'no such thing here' };
  const kubelet = kubernetes.kubelets.get(name);
  const isThere = kubelet !== undefined && (await kubernetes.whyNot(kubelet, served)) === undefined;
  if (NODE.test(path)) {
    const conditions = [{ type: 'Ready', status: isThere ? 'True' : 'Unknown', message: 'kubelet is posting' }];
    return { status: 200, body: JSON.stringify({ status: { conditions } }) };
  }
  const renewTime = new Date(isThere ? kubelet.machine.clock.nowMs() : 0).toISOString();
  return { status: 200, body: JSON.stringify({ spec: { renewTime, holderIdentity: name } }) };
}
