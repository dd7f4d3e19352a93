import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { rewrite, small } from './manifest-edits-for-tests.ts';
import { podOf } from './pod-for-tests.ts';

const folder = '/etc/kube-mtls/pki/etcd';

const rows: { it: string; text: string; folders: string[]; want: string }[] = [
  {
    it: 'mounts nothing when a mount covers the folder, however it is written',
    text: small(
      '    command: [etcd]\n    volumeMounts:\n    - {name: pki, mountPath: /etc/kube-mtls/}\n',
      '  volumes:\n  - name: pki\n    hostPath: {path: /etc/kube-mtls}\n',
    ),
    folders: [folder],
    want: small(
      '    command: [etcd]\n    volumeMounts:\n    - {name: pki, mountPath: /etc/kube-mtls/}\n',
      '  volumes:\n  - name: pki\n    hostPath: {path: /etc/kube-mtls}\n',
    ),
  },
  {
    it: 'makes lists of mounts and volumes where there are none, and mounts a volume of ours that is there',
    text: small(
      '    command: [etcd]\n',
      '  volumes:\n  # ours\n  - name: kube-mtls\n    hostPath: {path: /etc/kube-mtls/pki/etcd/}\n',
    ),
    folders: [folder, '/other'],
    want: small(
      `    command: [etcd]\n    volumeMounts:\n    - mountPath: ${folder}\n      name: kube-mtls\n      readOnly: true\n    - mountPath: /other\n      name: kube-mtls-2\n      readOnly: true\n`,
      '  volumes:\n  # ours\n  - name: kube-mtls\n    hostPath: {path: /etc/kube-mtls/pki/etcd/}\n  - hostPath:\n      path: /other\n      type: Directory\n    name: kube-mtls-2\n',
    ),
  },
];

const refusals: { it: string; text: string; folders: string[]; message: RegExp }[] = [
  {
    it: 'a volume of our name with another folder',
    text: small('    command: [etcd]\n', '  volumes:\n  - {name: kube-mtls, hostPath: {path: /x}}\n'),
    folders: [folder],
    message: /volume kube-mtls that is not ours/,
  },
  {
    it: 'a volume of our name that is no folder of the host',
    text: small('    command: [etcd]\n', '  volumes:\n  - {name: kube-mtls, emptyDir: {}}\n'),
    folders: [folder],
    message: /not ours/,
  },
  {
    it: 'our volume mounted at another path',
    text: small(
      '    command: [etcd]\n    volumeMounts: [{name: kube-mtls, mountPath: /x}]\n',
      `  volumes:\n  - {name: kube-mtls, hostPath: {path: ${folder}}}\n`,
    ),
    folders: [folder],
    message: /not ours/,
  },
  {
    it: 'a folder that a mount from elsewhere hides',
    text: small(
      '    command: [etcd]\n    volumeMounts: [{name: x, mountPath: /etc/kube-mtls}]\n',
      '  volumes:\n  - {name: x, hostPath: {path: /srv}}\n',
    ),
    folders: [folder],
    message: /hides \/etc\/kube-mtls\/pki\/etcd/,
  },
];

describe('mountEdits', () => {
  for (const { it: what, text, folders, want } of rows) {
    it(what, () => {
      const once = rewrite(podOf(text, 'etcd'), { folders });
      assert.equal(once, want);
      assert.equal(rewrite(podOf(once, 'etcd'), { folders }), once, 'twice');
    });
  }

  for (const { it: what, text, folders, message } of refusals) {
    it(`refuses ${what}`, () => {
      assert.throws(() => rewrite(podOf(text, 'etcd'), { folders }), { reason: 'invalid-request', message });
    });
  }
});
