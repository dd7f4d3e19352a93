/** A kubelet of a fake cluster. */
import { parse } from 'yaml';
import { readKubeconfig } from './fake-kubeconfig.ts';
import type { FakeClient, FakeKubernetes } from './fake-kubernetes.ts';
import type { FakeProgram } from './fake-machine.ts';
import { FakeListener, type TlsFiles } from './fake-network.ts';

const PORT = 10250;

/** What a test lets go wrong with a kubelet. */
export interface KubeletFaults {
  /** It ends two seconds after each start with a serving certificate of ours. */
  endsWithOurs?: boolean;
  /** It serves what it made for itself, whatever its configuration says. */
  servesOnlyItsOwn?: boolean;
}

interface KubeletConfig {
  authentication: { anonymous: { enabled: boolean }; x509: { clientCAFile: string } };
  tlsCertFile?: string;
  tlsPrivateKeyFile?: string;
}

/** What a kubelet without a serving certificate makes for itself. */
const SELF_MADE = { cert: '/var/lib/kubelet/pki/kubelet.crt', key: '/var/lib/kubelet/pki/kubelet.key' };

/** The program, as of Kubernetes 1.31: it reads all of its files again but the roots of its kubeconfig. */
export function fakeKubelet(kubernetes: FakeKubernetes, faults: KubeletFaults = {}): FakeProgram {
  return async ({ machine, flags, log, exit }) => {
    const config = parse(await machine.read(flags.get('config') ?? '')) as KubeletConfig; // of the test or of the agent
    const kubeconfig = flags.get('kubeconfig') ?? '';
    const { rootsPem } = await readKubeconfig(machine, kubeconfig);
    const client: FakeClient = {
      machine,
      credentials: async () => ({ ...(await readKubeconfig(machine, kubeconfig)), rootsPem }),
    };
    const { tlsCertFile, tlsPrivateKeyFile } = faults.servesOnlyItsOwn ? {} : config;
    const files = async (): Promise<TlsFiles> => ({
      cert: await machine.read(tlsCertFile ?? SELF_MADE.cert),
      key: await machine.read(tlsPrivateKeyFile ?? SELF_MADE.key),
      ca: await machine.read(config.authentication.x509.clientCAFile),
    });
    const listener = await FakeListener.open({
      files,
      answer: ({ path }, { user }) => {
        if (user === undefined) return { status: 401, body: 'Unauthorized' };
        return { status: 403, body: `Forbidden (user=${user}, verb=get, resource=nodes, path=${path})` };
      },
    });
    machine.network.listen(machine.address, PORT, listener);
    kubernetes.kubelets.set(machine.name, client);
    log('Started kubelet');
    const complaint = await kubernetes.complaintOf(client);
    log(
      complaint === undefined
        ? `Successfully registered node ${machine.name}`
        : `Unable to register node "${machine.name}" with API server: Post "https://${kubernetes.endpoint}/api/v1/nodes": ${complaint}`,
    );
    if (faults.endsWithOurs && config.tlsCertFile !== undefined) {
      void machine.clock
        .sleep(2000)
        .then(() =>
          exit(
            'E1201 00:00:00.000000    1000 run.go:72] "command failed" err="failed to run Kubelet: x509: malformed serial number"',
          ),
        );
    }
    return {
      stop: () => {
        machine.network.leave(machine.address, PORT);
        kubernetes.kubelets.delete(machine.name);
      },
    };
  };
}
