import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { FileEntry } from './file-table.ts';
import { oldLines, oldWords } from './old-references.ts';

const PKI = '/etc/kubernetes/pki';
const OURS = '/etc/kube-mtls/pki/kube-apiserver/current';

describe('old references', () => {
  it('are words of running components, but for keys of tokens and the CA that signs for others', () => {
    const programs = [
      ['/opt/bin/kube-apiserver', `--client-ca-file=${OURS}/client-ca.crt`, `--service-account-key-file=${PKI}/sa.pub`],
      ['kube-controller-manager', `--root-ca-file=${PKI}/ca.crt`, `--cluster-signing-cert-file=${PKI}/ca.crt`],
      ['/usr/bin/etcd', '--trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt'],
      ['cat', `--root-ca-file=${PKI}/ca.crt`],
    ];
    assert.deepEqual(oldWords(`\n${programs.map((words) => words.join('\n')).join('\n\n\n')}\n\n`), [
      `kube-controller-manager --root-ca-file=${PKI}/ca.crt`,
      'etcd --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt',
    ]);
  });

  it('are lines of configurations, and of kubeconfigs that embed what they should name, or name what they should embed', () => {
    const file = (path: string, kind: FileEntry['kind'], ...content: string[]) =>
      [path, { path, kind, content }] as const;
    const [client, embedded] = ['client-certificate', 'CN=kubernetes-admin by CN=kubernetes #0'];
    const files = new Map([
      file(
        '/var/lib/kubelet/config.yaml',
        'configuration',
        `clientCAFile: ${PKI}/ca.crt`,
        `tlsCertFile: ${OURS}/s.crt`,
      ),
      file(
        '/etc/kubernetes/kubelet.conf',
        'kubeconfig',
        `${client} ${OURS}/client.crt`,
        `certificate-authority ${embedded}`,
      ),
      file('/etc/kubernetes/admin.conf', 'kubeconfig', `${client} ${embedded}`, `certificate-authority ${OURS}/ca.crt`),
      file('/etc/kubernetes/scheduler.conf', 'kubeconfig', `${client} ${embedded}`),
      file(`${PKI}/ca.crt`, 'certificates', 'CN=kubernetes by itself #00'),
    ]);
    assert.deepEqual(oldLines(files, ['kubelet']), [
      `/var/lib/kubelet/config.yaml: clientCAFile: ${PKI}/ca.crt`,
      `/etc/kubernetes/kubelet.conf: certificate-authority ${embedded}`,
      `/etc/kubernetes/admin.conf: certificate-authority ${OURS}/ca.crt`,
    ]);
  });
});
