import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { kubeconfigText } from './certificate-for-tests.ts';
import { FakeNode } from './fake-node.ts';
import { detectManager } from './manager.ts';
import { NotUnderstood } from './not-understood.ts';

const KUBECONFIG = kubeconfigText('client-certificate: /c.crt');
const SCHEDULER_CONFIG = `apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  kubeconfig: /s.conf
`;

describe('detectManager', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
    for (const name of ['a', 'b', 's']) await node.write(`/${name}.conf`, KUBECONFIG);
    await node.write('/s.yaml', SCHEDULER_CONFIG);
  });
  afterEach(() => node.remove());

  async function detect(component: 'kube-controller-manager' | 'kube-scheduler', flags: string) {
    await node.addUnit(`${component}.service`, { text: `[Service]\nExecStart=/opt/bin/${component} ${flags}\n` });
    return detectManager(component, node.processDeps('cp1'), new AbortController().signal);
  }

  it('is undefined where there is none', async () => {
    const { signal } = new AbortController();
    assert.equal(await detectManager('kube-scheduler', node.processDeps('cp1'), signal), undefined);
  });

  it('finds a controller manager with its flags and version', async () => {
    node.answers.set('/opt/bin/kube-controller-manager --version', {
      code: 0,
      stdout: 'Kubernetes v1.20.2\n',
      stderr: '',
    });
    const found = await detect('kube-controller-manager', '--kubeconfig=/a.conf --leader-elect --root-ca-file /ca.crt');
    assert.equal(found?.component, 'kube-controller-manager');
    assert.equal(found.version, '1.20.2');
    assert.deepEqual(found.flags.get('root-ca-file'), ['/ca.crt']);
    assert.deepEqual(found.flags.get('leader-elect'), ['true']);
  });

  const rows: [string, 'kube-controller-manager' | 'kube-scheduler', string, string[]][] = [
    ['one that all flags name', 'kube-scheduler', 'a a a', ['/a.conf']],
    ['those that the flags name', 'kube-controller-manager', 'a b a', ['/a.conf', '/b.conf']],
    ['that of its configuration too', 'kube-scheduler', 'a - b --config=/s.yaml', ['/s.conf', '/a.conf', '/b.conf']],
    ['that of its configuration alone', 'kube-scheduler', '- - - --config=/s.yaml', ['/s.conf']],
  ];
  for (const [name, component, text, expected] of rows) {
    it(`reads each kubeconfig once: ${name}`, async () => {
      const [own = '', authentication = '', authorization = '', ...rest] = text.split(' ');
      const flag = (flagName: string, file: string) => (file === '-' ? '' : `--${flagName}=/${file}.conf`);
      const flags = [
        flag('kubeconfig', own),
        flag('authentication-kubeconfig', authentication),
        flag('authorization-kubeconfig', authorization),
        ...rest,
      ];
      const found = await detect(component, flags.join(' '));
      assert.deepEqual(
        found?.kubeconfigs.map(({ path }) => path),
        expected.map((path) => node.path(path)),
      );
    });
  }

  const refusals: [string, 'kube-controller-manager' | 'kube-scheduler', string, RegExp][] = [
    ['no kubeconfig', 'kube-controller-manager', '--master=http://127.0.0.1:8080', /without a kubeconfig/],
    ['a relative kubeconfig', 'kube-scheduler', '--kubeconfig=a.conf', /no absolute path/],
    ['a missing kubeconfig', 'kube-scheduler', '--kubeconfig=/none.conf', /no such file/],
    ['a file that is no kubeconfig', 'kube-scheduler', '--kubeconfig=/s.yaml', /current-context/],
    [
      'a configuration of another kind',
      'kube-scheduler',
      '--config=/a.conf',
      /no KubeSchedulerConfiguration but "Config"/,
    ],
    ['an argument', 'kube-scheduler', '--kubeconfig=/a.conf serve it', /"it"|"serve"/],
  ];
  for (const [name, component, flags, message] of refusals) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(
        detect(component, flags),
        (error) => error instanceof NotUnderstood && message.test(error.message) && error.place.path !== '',
      );
    });
  }
  it('does not take --kubeconfig for a kubeconfig of the scheduler that its configuration does not name', async () => {
    await node.write('/s.yaml', 'kind: KubeSchedulerConfiguration\n');
    await assert.rejects(detect('kube-scheduler', '--config=/s.yaml --kubeconfig=/a.conf'), /without a kubeconfig/);
  });
});
