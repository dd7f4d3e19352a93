import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DetectedPod } from './detected.ts';
import { refuseHiddenPaths } from './hidden-paths.ts';
import { NotUnderstood } from './not-understood.ts';

const MANIFEST = `kind: Pod
metadata: {name: etcd}
spec:
  containers:
  - name: etcd
    command: [etcd]
    volumeMounts:
    - {name: pki, mountPath: /pki/}
    - {name: elsewhere, mountPath: /pki/etcd}
    - {name: part, mountPath: /part, subPath: a}
    - {name: empty, mountPath: /empty}
    - {name: file, mountPath: /pki/etcd/ca.crt}
  volumes:
  - {name: pki, hostPath: {path: /pki}}
  - {name: elsewhere, hostPath: {path: /srv/etcd}}
  - {name: part, hostPath: {path: /part}}
  - {name: empty, emptyDir: {}}
  - {name: file, hostPath: {path: /pki/etcd/ca.crt}}
`;

const pod: DetectedPod = {
  kind: 'static-pod',
  ...{ name: 'etcd-a', namespace: 'kube-system', container: 'etcd', activeState: 'active' },
  manifest: { path: '/m/etcd.yaml', text: MANIFEST, mode: 0o600, uid: 0, gid: 0 },
  ...{ command: [], environment: new Map(), effectiveCommand: [], effectiveEnvironment: new Map(), mounts: [] },
  ...{ user: 'root', uid: 0, gid: 0 },
};

describe('refuseHiddenPaths', () => {
  for (const path of ['', '/pki/ca.crt', '/pki/x/../ca.crt', '/pki/etcd.crt', '/pki/etcd/ca.crt']) {
    it(`lets ${path || 'nothing'} pass`, () => refuseHiddenPaths(pod, [{ by: '--cert-file', path }]));
  }
  const rows: [string, RegExp][] = [
    ['/pki/etcd/server.crt', /--cert-file names \/pki\/etcd\/server\.crt, which comes from \/srv\/etcd: mount it/],
    ['/pki/../pkis/a.crt', /which is not mounted from the host/],
    ['/pkiother/a.crt', /which is not mounted from the host/],
    ['/part/a.crt', /which comes from elsewhere/],
    ['/empty/a.crt', /which comes from elsewhere/],
    ['pki/a.crt', /no absolute path/],
  ];
  for (const [path, message] of rows) {
    it(`refuses ${path}`, () => {
      assert.throws(
        () => refuseHiddenPaths(pod, [{ by: '--cert-file', path }]),
        (error) => {
          assert.ok(error instanceof NotUnderstood, String(error));
          assert.match(error.message, message);
          assert.deepEqual(error.place, { path: '/m/etcd.yaml', line: 8 });
          return true;
        },
      );
    });
  }
});
