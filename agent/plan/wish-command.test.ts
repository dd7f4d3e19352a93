import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DetectedUnit } from '../detect/detected.ts';
import { etcdDialect } from '../detect/flag-dialects.ts';
import { etcd120 } from './kubeadm-etcd-for-tests.ts';
import { podOf } from './pod-for-tests.ts';
import type { FlagEdit } from './rewrite-command.ts';
import { differs } from './wish.ts';
import { wishCommand } from './wish-command.ts';

const edits = new Map<string, FlagEdit>([['name', { set: 'b' }]]);
const none = new Map<string, FlagEdit>();
const command = ['/usr/bin/etcd', '--name=a'].map((text) => ({ raw: text, values: [text] }));
const unit: DetectedUnit = {
  ...{ kind: 'unit', name: 'etcd.service', files: [], command, environment: new Map(), user: 'etcd', uid: 1, gid: 1 },
  ...{ dropInPath: '/x/50-kube-mtls.conf', dropIn: undefined, activeState: 'active' },
  ...{ effectiveCommand: command, effectiveEnvironment: new Map() },
};
const dropIn = { path: unit.dropInPath, text: 'old', mode: 0o644, uid: 0, gid: 0 };

describe('wishCommand', () => {
  it('gives a unit a drop-in, and no mark', () => {
    const { files, restartMark } = wishCommand(unit, etcdDialect, edits, { environmentFile: '/e.env' });
    assert.equal(restartMark, undefined);
    assert.deepEqual(
      files.map(({ path, restarts, after }) => [path, restarts, after.text.split('\n').slice(1)]),
      [
        [
          unit.dropInPath,
          false,
          ['[Service]', 'EnvironmentFile=/e.env', 'ExecStart=', 'ExecStart=/usr/bin/etcd \\', '    --name=b', ''],
        ],
      ],
    );
  });

  it('gives a unit none where nothing is edited, and empties the one that is there', () => {
    assert.deepEqual(wishCommand(unit, etcdDialect, none).files, []);
    const [file] = wishCommand({ ...unit, dropIn }, etcdDialect, none).files;
    assert.match(file?.after.text ?? '', /^# written by kube-mtls-agent.*\n\[Service\]\n$/);
  });

  it('edits the manifest of a pod, which restarts it, and keeps mode and owner', () => {
    const pod = podOf(etcd120, 'etcd');
    const { files, restartMark } = wishCommand(pod, etcdDialect, edits, { folders: ['/f'] });
    assert.deepEqual(
      files.map(({ path, before, restarts, after }) => [path, before, restarts, after.mode, after.uid]),
      [['/etc/kubernetes/manifests/etcd.yaml', pod.manifest, true, 0o600, 0]],
    );
    assert.match(files[0]?.after.text ?? '', /^ {4}- --name=b$/m);
    assert.match(files[0]?.after.text ?? '', /^ {4}- mountPath: \/f$/m);
    const added = '    kube-mtls.io/restarted-by: "@kube-mtls:change-id@"\n';
    assert.equal(restartMark?.after.text.replace(added, ''), files[0]?.after.text);
    assert.equal(restartMark?.restarts, true);
  });

  it('wishes the manifest as it is where nothing is edited, and still has the mark', () => {
    const { files, restartMark } = wishCommand(podOf(etcd120, 'etcd'), etcdDialect, none);
    assert.deepEqual(files.map(differs), [false]);
    assert.ok(restartMark !== undefined && differs(restartMark));
  });
});
