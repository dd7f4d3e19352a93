import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { DetectedPod } from './detected.ts';
import { FakeNode } from './fake-node.ts';
import { NotUnderstood } from './not-understood.ts';
import type { DetectOverrides } from './overrides.ts';
import { findStaticPods } from './static-pods.ts';

const FOLDER = '/etc/kubernetes/manifests';

/** A pod of one container. */
function pod(name: string, container: string, rest = ''): string {
  return `apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: kube-system}
spec:
  containers:
  - name: ${name}
${container.replace(/^/gm, '    ')}
${rest}`;
}

describe('findStaticPods', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
  });
  afterEach(() => node.remove());

  function find(overrides: DetectOverrides = {}, folder: string | undefined = FOLDER) {
    return findStaticPods({ layout: node.layout, nodeName: 'kp1' }, folder, overrides);
  }
  async function etcd(text: string, options = {}): Promise<DetectedPod> {
    await node.addManifest('etcd.yaml', text, options);
    const found = (await find()).get('etcd');
    assert.ok(found !== undefined && !(found instanceof NotUnderstood), String(found));
    return found;
  }
  async function refused(component = 'etcd', overrides: DetectOverrides = {}): Promise<NotUnderstood> {
    const found = new Map<string, DetectedPod | NotUnderstood>(await find(overrides)).get(component);
    assert.ok(found instanceof NotUnderstood, JSON.stringify(found));
    return found;
  }

  it("finds kubeadm's four", async () => {
    for (const name of ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler']) {
      const text = await readFile(join(import.meta.dirname, `fixtures/kubeadm-1.20/${name}.manifest`), 'utf8');
      await node.addManifest(`${name}.yaml`, text, { running: name !== 'kube-scheduler' });
    }
    const pods = [...(await find())];
    const summary = pods.map(([component, found]) =>
      found instanceof NotUnderstood
        ? [component, found.message]
        : [component, found.name, found.namespace, found.user, found.activeState, found.command.length],
    );
    assert.deepEqual(summary, [
      ['etcd', 'etcd-kp1', 'kube-system', 'root', 'active', 18],
      ['kube-apiserver', 'kube-apiserver-kp1', 'kube-system', 'root', 'active', 29],
      ['kube-controller-manager', 'kube-controller-manager-kp1', 'kube-system', 'root', 'active', 16],
      ['kube-scheduler', 'kube-scheduler-kp1', 'kube-system', 'root', 'activating', 7],
    ]);
    const [, scheduler] = pods[3] ?? [];
    assert.ok(scheduler !== undefined && !(scheduler instanceof NotUnderstood));
    assert.deepEqual(scheduler.mounts, [{ path: '/etc/kubernetes/scheduler.conf', readOnly: true }]);
    assert.equal(scheduler.manifest.path, node.path(`${FOLDER}/kube-scheduler.yaml`));
    assert.equal(scheduler.container, 'kube-scheduler');
  });

  it('puts command and args together and fills in variables', async () => {
    const found = await etcd(
      pod(
        'etcd',
        `command: [/usr/local/bin/etcd, '--name=$(NAME)']
args: ['--data-dir', '$(DIR)/x']
env:
- {name: NAME, value: n1}
- {name: DIR, value: /var/lib/$(NAME)}
- {name: ETCD_CERT_FILE, value: /c.crt}
- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}`,
      ),
    );
    assert.deepEqual(found.command, [
      { raw: '/usr/local/bin/etcd', values: ['/usr/local/bin/etcd'] },
      { raw: '--name=$(NAME)', values: ['--name=n1'] },
      { raw: '--data-dir', values: ['--data-dir'] },
      { raw: '$(DIR)/x', values: ['/var/lib/n1/x'] },
    ]);
    assert.deepEqual(Object.fromEntries(found.environment), {
      NAME: 'n1',
      DIR: '/var/lib/n1',
      ETCD_CERT_FILE: '/c.crt',
    });
    assert.deepEqual([found.effectiveCommand, found.effectiveEnvironment], [found.command, found.environment]);
  });

  it('takes the mounts that are the same on the host, and no others', async () => {
    const found = await etcd(
      pod(
        'etcd',
        `command: [etcd]
volumeMounts:
- {name: same, mountPath: /a/, readOnly: true}
- {name: other, mountPath: /b}
- {name: empty, mountPath: /c}
- {name: part, mountPath: /d, subPath: x}
- {name: missing, mountPath: /e}
- {name: file, mountPath: /f.conf}`,
        `  volumes:
  - {name: same, hostPath: {path: /a}}
  - {name: other, hostPath: {path: /x}}
  - {name: empty, emptyDir: {}}
  - {name: part, hostPath: {path: /d}}
  - {name: file, hostPath: {path: /f.conf, type: File}}
`,
      ),
    );
    assert.deepEqual(found.mounts, [
      { path: '/a', readOnly: true },
      { path: '/f.conf', readOnly: false },
    ]);
  });

  const accounts: [string, string, string, [string, number, number]][] = [
    ['nobody says', '', '', ['root', 0, 0]],
    ['the pod says', '', '{runAsUser: 107, runAsGroup: 115}', ['etcd', 107, 115]],
    ['the container says', 'securityContext: {runAsUser: 107}', '{runAsUser: 1, runAsGroup: 5}', ['etcd', 107, 5]],
    ['the host does not know', 'securityContext: {runAsUser: 4711}', '', ['4711', 4711, 0]],
  ];
  for (const [name, own, shared, expected] of accounts) {
    it(`knows the user that ${name}`, async () => {
      const rest = shared === '' ? '' : `  securityContext: ${shared}\n`;
      const { user, uid, gid } = await etcd(pod('etcd', `command: [etcd]\n${own}`, rest));
      assert.deepEqual([user, uid, gid], expected);
    });
  }

  it('is active only while the same words run', async () => {
    const text = pod('etcd', 'command: [/usr/local/bin/etcd, --name=a]');
    assert.equal((await etcd(text)).activeState, 'activating');
    await node.addProcess({ argv: ['etcd', '--name=b'] });
    await node.addProcess({ argv: ['etcd', '--name=a', '--debug'] });
    assert.equal((await etcd(text)).activeState, 'activating');
    await node.addProcess({ argv: ['etcd', '--name=a'] });
    assert.equal((await etcd(text)).activeState, 'active');
  });

  it("has kubelet's own default for the namespace", async () => {
    assert.equal(
      (await etcd(pod('etcd', 'command: [etcd]').replace(', namespace: kube-system', ''))).namespace,
      'default',
    );
  });

  it('reads JSON and a document that begins with ---', async () => {
    const json = { kind: 'Pod', metadata: { name: 'e' }, spec: { containers: [{ name: 'c', command: ['etcd'] }] } };
    assert.equal((await etcd(JSON.stringify(json))).name, 'e-kp1');
    assert.equal((await etcd(`# ours\n---\n${pod('etcd', 'command: [etcd]')}`)).name, 'etcd-kp1');
  });

  it('tells the container that counts from its neighbours', async () => {
    const two = (first: string, second: string) =>
      `kind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n  - {name: ${first}, command: [etcd, --a=1]}\n  - {name: ${second}, command: [etcd, --b=1]}\n`;
    assert.equal((await etcd(two('main', 'etcd'))).container, 'etcd');
    const sidecar = '  - {name: etcd-backup, image: etcd:3, command: [sh, -c, "cp -r /var/lib/etcd /b; etcdctl x"]}\n';
    assert.equal((await etcd(`${two('main', 'x').replace(/\n.*--b=1.*/, '')}${sidecar}`)).container, 'main');
    await node.addManifest('etcd.yaml', two('main', 'events'));
    assert.match((await refused()).message, /several containers/);
  });

  it('takes no notice of what only has to do with a component', async () => {
    await node.addManifest(
      'backup.yaml',
      pod('etcd-backup', 'command: [tar, czf, /b, /var/lib/etcd, --data-dir=/x/etcd]'),
    );
    await node.addManifest('lb.yaml', pod('haproxy', 'command: [haproxy, "curl https://kube-apiserver/healthz"]'));
    await node.addManifest('broken.yaml', 'a: [');
    await node.addManifest('.etcd.yaml', pod('etcd', 'command: [etcd]'));
    await node.write(`${FOLDER}/etcd/etcd.yaml`, pod('etcd', 'command: [etcd]'));
    await node.write(`${FOLDER}/list.yaml`, '- etcd\n');
    assert.deepEqual([...(await find())], []);
  });

  it('takes the one that runs the program before those that only look so', async () => {
    await node.addManifest('a-etcd.yaml', 'a: [');
    await node.addManifest('b.yaml', pod('etcd', 'command: [sleep, "1"]'));
    assert.equal((await etcd(pod('store', 'command: [etcd]'))).name, 'store-kp1');
  });

  const hidden: [string, string, RegExp][] = [
    ['a shell', 'command: [/bin/sh, -c, "exec /usr/local/bin/etcd --name=a"]', /runs \/bin\/sh and not etcd itself/],
    ['a shell after a variable', "command: [sh, '-c', 'GOMAXPROCS=2 etcd --name=a']", /runs sh/],
    ['a wrapper', 'command: [/go-runner, --log-file=/x, /usr/local/bin/etcd, --name=a]', /runs \/go-runner/],
    ['its image', 'image: quay.io/coreos/etcd:v3.5.0\nargs: [--name=a]', /decides what runs: write command: \[etcd\]/],
  ];
  for (const [name, container, message] of hidden) {
    it(`names a program that is hidden behind ${name}`, async () => {
      await node.addManifest('x.yaml', pod('store', container));
      const { message: found, place } = await refused();
      assert.match(found, message);
      assert.equal(place.path, node.path(`${FOLDER}/x.yaml`));
    });
  }

  it('names a pod that is called like the program and runs something else', async () => {
    await node.addManifest('x.yaml', pod('main', 'command: [/entry.sh]').replace('name: main, ', 'name: etcd, '));
    assert.match((await refused()).message, /the container main runs \/entry\.sh and not etcd itself/);
  });

  const broken: [string, string, RegExp, number | undefined][] = [
    ['no YAML', 'a: [', /no YAML/, 1],
    ['several documents', `${pod('etcd', 'command: [etcd]')}---\nkind: Pod\n`, /no YAML that is understood/, 8],
    ['a word that is no text', pod('etcd', 'command: [etcd, 5]'), /containers\.0\.command\.1/, 7],
    ['another kind', pod('etcd', 'command: [etcd]').replace('kind: Pod', 'kind: Job'), /kind/, 2],
    ['no name', pod('etcd', 'command: [etcd]').replace('name: etcd, ', ''), /metadata\.name/, 3],
    [
      "a flag with a value that is kubelet's",
      pod('etcd', 'command: [etcd]\nargs:\n- --a=$(IP)\nenv: [{name: IP, valueFrom: {}}]'),
      /uses \$\(IP\), whose value only kubelet knows/,
      9,
    ],
    [
      "a setting with a value that is kubelet's",
      pod('etcd', 'command: [etcd]\nenv:\n- {name: ETCD_NAME, valueFrom: {}}'),
      /value of ETCD_NAME: write it out/,
      9,
    ],
    ['variables from elsewhere', pod('etcd', 'command: [etcd]\nenvFrom: [{configMapRef: {name: x}}]'), /envFrom/, 8],
    [
      'a user that the image decides',
      pod('etcd', 'command: [etcd]', '  securityContext: {runAsNonRoot: true}\n'),
      /runAsNonRoot/,
      6,
    ],
  ];
  for (const [name, text, message, line] of broken) {
    it(`refuses a manifest with ${name} and names the line`, async () => {
      await node.addManifest('etcd.yaml', text);
      const { message: found, place } = await refused();
      assert.match(found, message);
      assert.deepEqual(place, { path: node.path(`${FOLDER}/etcd.yaml`), line });
    });
  }

  it('does not mind variables of kubelet that no flag and no setting needs', async () => {
    await node.addManifest(
      'a.yaml',
      pod('kube-apiserver', 'command: [kube-apiserver]\nenv: [{name: ETCD_X, valueFrom: {}}]'),
    );
    assert.ok(!((await find()).get('kube-apiserver') instanceof NotUnderstood));
  });

  it('refuses a component that two manifests run', async () => {
    await node.addManifest('etcd.yaml', pod('etcd', 'command: [etcd]'));
    await node.addManifest('etcd.yaml.bak', pod('etcd', 'command: [etcd]'));
    const { message, place } = await refused();
    assert.match(message, /as etcd\.yaml does, and kubelet starts both/);
    assert.equal(place.path, node.path(`${FOLDER}/etcd.yaml.bak`));
  });

  it('reads the folder that it is told, one manifest in place of a folder, and none', async () => {
    await node.addManifest('/srv/pods/etcd.yaml', pod('etcd', 'command: [etcd]'));
    for (const folder of ['/srv/pods', '/srv/pods/etcd.yaml']) {
      const found = (await find({}, folder)).get('etcd');
      assert.ok(found !== undefined && !(found instanceof NotUnderstood));
      assert.equal(found.manifest.path, node.path('/srv/pods/etcd.yaml'));
    }
    assert.equal((await find({}, '/nothing')).size, 0);
    await node.addManifest('etcd.yaml', pod('etcd', 'command: [etcd]'));
    assert.equal((await findStaticPods({ layout: node.layout, nodeName: 'kp1' }, undefined, {})).size, 0);
  });

  it('reads the manifest that agent.yaml names, and not the folder', async () => {
    await node.addManifest('etcd.yaml', pod('etcd', 'command: [etcd]'));
    await node.addManifest('/srv/main.yaml', pod('main', 'command: [etcd]'));
    const overrides = { components: { etcd: { manifest: '/srv/main.yaml' } } };
    const found = (await find(overrides)).get('etcd');
    assert.ok(found !== undefined && !(found instanceof NotUnderstood));
    assert.equal(found.name, 'main-kp1');
    const missing = await refused('etcd', { components: { etcd: { manifest: '/srv/none.yaml' } } });
    assert.deepEqual([missing.message, missing.place.path], ['there is no such file', node.path('/srv/none.yaml')]);
    const other = await refused('kube-apiserver', { components: { 'kube-apiserver': { manifest: '/srv/main.yaml' } } });
    assert.match(other.message, /names it as the manifest of kube-apiserver, which it does not run/);
  });
});
