import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { CERTIFICATE_PEM, kubeconfigText } from './certificate-for-tests.ts';
import { detectNode } from './detect-node.ts';
import { FakeNode } from './fake-node.ts';

const data = btoa(CERTIFICATE_PEM);
/** A kubeconfig of webhooks: users by host, none of them current. */
const webhooks = `kind: Config\nusers: [{name: a.example, user: {client-certificate: a.crt}}, {name: '*.b.example', user: {client-certificate-data: ${data}}}]\n`;

describe('nestedReferences', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
    await node.write('/w/hook.conf', kubeconfigText(`client-certificate-data: ${data}`));
    await node.write('/w/hooks.conf', webhooks);
    await node.write('/w/a.crt', CERTIFICATE_PEM);
  });
  afterEach(() => node.remove());

  /** The certificates of an API server with these flags, without what the unit itself has. */
  async function certificates(flags: string, program = 'kube-apiserver'): Promise<string[]> {
    await node.addUnit(`${program}.service`, { text: `[Service]\nExecStart=/opt/bin/${program} ${flags}\n` });
    const { components, problems, certificates } = await detectNode(
      { layout: node.layout, run: node.run, hostname: 'cp1' },
      new AbortController().signal,
    );
    assert.deepEqual([problems, components.length], [[], 1]);
    return certificates.map(
      ({ path, consumer, certificatePem, problem }) =>
        `${path.replace(node.layout.root, '')} | ${consumer.replace(`${program} `, '')} | ${certificatePem === CERTIFICATE_PEM ? 'read' : problem}`,
    );
  }

  for (const flag of [
    'authentication-token-webhook-config-file',
    'authorization-webhook-config-file',
    'audit-webhook-config-file',
  ]) {
    it(`lists what the kubeconfig of --${flag} has`, async () =>
      assert.deepEqual(await certificates(`--${flag}=/w/hook.conf`), [
        `/w/hook.conf | --${flag} certificate-authority-data | read`,
        `/w/hook.conf | --${flag} client-certificate-data | read`,
      ]));
  }

  const configurations: [what: string, flag: string, text: string, found: string[]][] = [
    [
      'a structured authorization',
      'authorization-config',
      'authorizers: [{type: Node}, {type: Webhook, webhook: {connectionInfo: {type: KubeConfigFile, kubeConfigFile: /w/hook.conf}}}]',
      [
        '/w/hook.conf | kubeConfigFile certificate-authority-data',
        '/w/hook.conf | kubeConfigFile client-certificate-data',
      ],
    ],
    [
      'a structured authentication',
      'authentication-config',
      JSON.stringify({ jwt: [{ issuer: { url: 'https://i', certificateAuthority: CERTIFICATE_PEM } }, {}] }),
      ['/w/c.yaml | certificateAuthority'],
    ],
    [
      "an admission's embedded plugin, all whose users count",
      'admission-control-config-file',
      'plugins: [{name: PodSecurity, configuration: {x: 1}}, {name: MutatingAdmissionWebhook, configuration: {kubeConfigFile: /w/hooks.conf}}]',
      [
        '/w/a.crt | MutatingAdmissionWebhook kubeConfigFile client-certificate',
        '/w/hooks.conf | MutatingAdmissionWebhook kubeConfigFile client-certificate-data',
      ],
    ],
    [
      "an admission's plugin in a file beside it",
      'admission-control-config-file',
      'plugins: [{name: ImagePolicyWebhook, path: image.yaml}]',
      [
        '/w/hook.conf | ImagePolicyWebhook kubeConfigFile certificate-authority-data',
        '/w/hook.conf | ImagePolicyWebhook kubeConfigFile client-certificate-data',
      ],
    ],
    [
      'an image policy in the old form',
      'admission-control-config-file',
      'imagePolicy: {kubeConfigFile: /w/hook.conf}',
      [
        '/w/hook.conf | kubeConfigFile certificate-authority-data',
        '/w/hook.conf | kubeConfigFile client-certificate-data',
      ],
    ],
    [
      'an egress selector',
      'egress-selector-config-file',
      'egressSelections: [{name: cluster, connection: {transport: {tcp: {tlsConfig: {caBundle: /w/a.crt, clientKey: /k, clientCert: /w/a.crt}}}}}, {name: etcd, connection: {proxyProtocol: Direct}}]',
      ['/w/a.crt | caBundle', '/w/a.crt | clientCert'],
    ],
  ];
  for (const [what, flag, text, found] of configurations) {
    it(`lists what ${what} names`, async () => {
      await node.write('/w/c.yaml', text);
      await node.write('/w/image.yaml', 'imagePolicy: {kubeConfigFile: /w/hook.conf}');
      assert.deepEqual(
        await certificates(`--${flag}=/w/c.yaml`),
        found.map((line) => `${line.replace(' | ', ` | --${flag} `)} | read`),
      );
    });
  }

  it("lists what a scheduler's extenders name", async () => {
    await node.write(
      '/w/s.yaml',
      `kind: KubeSchedulerConfiguration\nclientConnection: {kubeconfig: /w/hook.conf}\nextenders: [{urlPrefix: x, tlsConfig: {caFile: /w/a.crt, certData: ${data}}}, {urlPrefix: y}]\n`,
    );
    assert.deepEqual((await certificates('--config=/w/s.yaml', 'kube-scheduler')).slice(0, 3), [
      '/w/a.crt | --config extenders caFile | read',
      '/w/hook.conf | --config certificate-authority-data | read',
      '/w/hook.conf | --config client-certificate-data | read',
    ]);
  });

  const broken: [what: string, flags: string, problem: RegExp][] = [
    [
      'is missing',
      '--authorization-config=/w/none.yaml',
      /^\/w\/none\.yaml \| --authorization-config \| .*no such file/,
    ],
    ['has another form', '--egress-selector-config-file=/w/odd.yaml', /^\/w\/odd\.yaml \| .*\| egressSelections: /],
    ['is no YAML', '--audit-webhook-config-file=/w/a.crt', /^\/w\/a\.crt \| --audit-webhook-config-file \| ./],
    ['names a missing kubeconfig', '--authorization-config=/w/gone.yaml', /^\/gone\.conf \| .*no such file/],
  ];
  for (const [what, flags, problem] of broken) {
    it(`lists a file that ${what} with its problem, and holds nothing up`, async () => {
      await node.write('/w/odd.yaml', 'egressSelections: {a: b}');
      await node.write('/w/gone.yaml', 'authorizers: [{webhook: {connectionInfo: {kubeConfigFile: /gone.conf}}}]');
      const found = await certificates(flags);
      assert.equal(found.length, 1);
      assert.match(found[0] ?? '', problem);
    });
  }
});
