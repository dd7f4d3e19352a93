import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { etcd116, etcd120, etcd134 } from './kubeadm-etcd-for-tests.ts';
import { apiserver120, scheduler120 } from './kubeadm-servers-for-tests.ts';
import { rewrite, small, type Wanted } from './manifest-edits-for-tests.ts';
import { podOf } from './pod-for-tests.ts';
import type { FlagEdit } from './rewrite-command.ts';
import { markRestart } from './rewrite-manifest.ts';

const folder = '/etc/kube-mtls/pki/etcd';
const set = (value: string): FlagEdit => ({ set: value });

/** The text with each pair's first string replaced by its second; each has to be there exactly once. */
function replaced(text: string, pairs: [string, string][]): string {
  return pairs.reduce((before, [from, to]) => {
    assert.equal(before.split(from).length, 2, `"${from}" is there once`);
    return before.replace(from, () => to);
  }, text);
}

interface Row extends Wanted {
  it: string;
  text: string;
  container?: string;
  want: string;
}

/** kubeadm's manifest of etcd with our mount and volume. */
const mounted = (text: string): string =>
  replaced(text, [
    [
      '      name: etcd-certs\n',
      `      name: etcd-certs\n    - mountPath: ${folder}\n      name: kube-mtls\n      readOnly: true\n`,
    ],
    [
      '    name: etcd-data\nstatus',
      `    name: etcd-data\n  - hostPath:\n      path: ${folder}\n      type: Directory\n    name: kube-mtls\nstatus`,
    ],
  ]);
const etcdFlags = {
  'cert-file': set(`${folder}/current/server.crt`),
  'listen-client-urls': { map: (list: string) => list.replaceAll('127.0.0.1', '127.0.0.2') },
  'client-cert-allowed-hostname': set('x'),
};
const rows: Row[] = [
  {
    it: 'edits etcd of kubeadm 1.20: flags where they stand, new ones behind the last, a mount and a volume',
    text: etcd120,
    flags: etcdFlags,
    folders: [folder],
    want: mounted(
      replaced(etcd120, [
        ['- --cert-file=/etc/kubernetes/pki/etcd/server.crt', `- --cert-file=${folder}/current/server.crt`],
        ['urls=https://127.0.0.1:2379,https', 'urls=https://127.0.0.2:2379,https'],
        ['    image: ', '    - --client-cert-allowed-hostname=x\n    image: '],
      ]),
    ),
  },
  {
    it: 'edits etcd of kubeadm 1.34, whose ports have names',
    text: etcd134,
    flags: { 'trusted-ca-file': set('/x/ca.crt') },
    folders: [folder],
    want: mounted(
      replaced(etcd134, [[' --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt', ' --trusted-ca-file=/x/ca.crt']]),
    ),
  },
  {
    it: 'edits an API server and drops a flag',
    text: apiserver120,
    container: 'kube-apiserver',
    flags: { 'insecure-port': 'drop', 'tls-cert-file': set('/x/serving.crt') },
    want: replaced(apiserver120, [
      ['    - --insecure-port=0\n', ''],
      ['/etc/kubernetes/pki/apiserver.crt', '/x/serving.crt'],
    ]),
  },
  {
    it: 'handles a value in the item behind its flag, comments between and beside items, and odd indentation',
    text: small(
      "    command:\n        - etcd   # the program\n        # certificates\n        - --cert-file   # old\n        - /old.crt\n        # key\n        - '--key-file=/old.key' # quoted\n\n        - -name\n        - a\n    # behind\n",
    ),
    flags: { 'cert-file': set('/new.crt'), 'key-file': set('/new.key'), name: 'drop', 'data-dir': set('/d') },
    want: small(
      "    command:\n        - etcd   # the program\n        # certificates\n        - --cert-file=/new.crt   # old\n        # key\n        - '--key-file=/new.key' # quoted\n        - '--data-dir=/d'\n\n    # behind\n",
    ),
  },
  {
    it: 'appends to args where there are some, and keeps double quotes',
    text: small('    command: ["etcd"]\n    args:\n    - "--name=a"\n    image: x\n'),
    flags: { 'cert-file': set('/c'), 'listen-client-urls': set('https://[::1]:2379,https://127.0.0.1:2379') },
    want: small(
      '    command: ["etcd"]\n    args:\n    - "--name=a"\n    - "--cert-file=/c"\n    - "--listen-client-urls=https://[::1]:2379,https://127.0.0.1:2379"\n    image: x\n',
    ),
  },
  {
    it: 'leaves an empty list when the only argument goes',
    text: small('    command: [etcd, --x=1]\n    args: # none\n    - --name=a\n'),
    flags: { name: 'drop' },
    want: small('    command: [etcd, --x=1]\n    args: [] # none\n'),
  },
  {
    it: 'edits lists in flow style, over one line and over several',
    text: small(
      '    command: [etcd, --name, a, "--cert-file=/old"]\n    args: [\n      --key-file=/old, # key\n      --v=1,\n    ]\n',
    ),
    flags: {
      name: 'drop',
      'cert-file': set('/new'),
      'key-file': set('/k'),
      'listen-peer-urls': set('https://a:1,https://b:1'),
    },
    want: small(
      '    command: [etcd, "--cert-file=/new"]\n    args: [\n      --key-file=/k, # key\n      --v=1,\n      "--listen-peer-urls=https://a:1,https://b:1",\n    ]\n',
    ),
  },
  {
    it: 'keeps the line breaks of Windows',
    text: small(
      '    command:\n    - etcd\n    - --name\n    - a\n    - --cert-file=/old\n',
      '  volumes: []\n',
    ).replaceAll('\n', '\r\n'),
    flags: { name: 'drop', 'cert-file': set('/new'), 'key-file': set('/k') },
    folders: ['/f'],
    want: small(
      '    command:\n    - etcd\n    - --cert-file=/new\n    - --key-file=/k\n    volumeMounts:\n    - mountPath: /f\n      name: kube-mtls\n      readOnly: true\n',
      '  volumes: [{hostPath: {path: /f, type: Directory}, name: kube-mtls}]\n',
    ).replaceAll('\n', '\r\n'),
  },
  {
    it: 'edits JSON with tabs, and writes JSON',
    text: '{\n\t"kind": "Pod",\n\t"metadata": {"name": "etcd"},\n\t"spec": {\n\t\t"containers": [{"name": "etcd", "command": [\n\t\t\t"etcd",\n\t\t\t"--name=a"\n\t\t]}],\n\t\t"volumes": [\n\t\t\t{"name": "v"}\n\t\t]\n\t}\n}\n',
    flags: { 'cert-file': set('/c') },
    folders: ['/f'],
    environment: { ETCD_NAME: 'true' },
    want: '{\n\t"kind": "Pod",\n\t"metadata": {"name": "etcd"},\n\t"spec": {\n\t\t"containers": [{"name": "etcd", "command": [\n\t\t\t"etcd",\n\t\t\t"--name=a",\n\t\t\t"--cert-file=/c"\n\t\t], "env": [{"name": "ETCD_NAME", "value": "true"}], "volumeMounts": [{"mountPath": "/f", "name": "kube-mtls", "readOnly": true}]}],\n\t\t"volumes": [\n\t\t\t{"name": "v"},\n\t\t\t{"hostPath": {"path": "/f", "type": "Directory"}, "name": "kube-mtls"}\n\t\t]\n\t}\n}\n',
  },
  {
    it: 'sets and unsets variables, of several with one name the last',
    text: small(
      '    command: [etcd]\n    env:\n    - name: ETCD_CERT_FILE # first\n      value: /first\n    - {name: ETCD_CERT_FILE, value: "/old"}\n    - name: GONE\n      value: x\n    - name: EMPTY\n',
    ),
    environment: {
      ETCD_CERT_FILE: '/new',
      GONE: undefined,
      EMPTY: 'x',
      ETCD_CLIENT_CERT_AUTH: 'true',
      ABSENT: undefined,
    },
    want: small(
      '    command: [etcd]\n    env:\n    - name: ETCD_CERT_FILE # first\n      value: /first\n    - {name: ETCD_CERT_FILE, value: /new}\n    - name: EMPTY\n      value: x\n    - name: ETCD_CLIENT_CERT_AUTH\n      value: "true"\n',
    ),
  },
  {
    it: 'keeps references to variables in what has the value already, and writes them out elsewhere',
    text: small(
      '    command: [etcd, "--cert-file=$(DIR)/a", "--key-file=$(DIR)/b"]\n    env:\n    - {name: DIR, value: /d}\n    - {name: ETCD_NAME, value: $(DIR)}\n',
    ),
    flags: { 'cert-file': set('/d/a'), 'key-file': { map: (path) => `${path}$` } },
    environment: { ETCD_NAME: '/d' },
    want: small(
      '    command: [etcd, "--cert-file=$(DIR)/a", "--key-file=/d/b$$"]\n    env:\n    - {name: DIR, value: /d}\n    - {name: ETCD_NAME, value: $(DIR)}\n',
    ),
  },
  {
    it: 'gives a probe other certificates within its shell command, whose lines stay',
    text: etcd116,
    probeFlags: { cert: '/n/hc.crt', key: '/n/hc.key', cacert: '/n/ca.crt' },
    want: replaced(etcd116, [
      ['--cacert=/etc/kubernetes/pki/etcd/ca.crt', '--cacert=/n/ca.crt'],
      ['--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt', '--cert=/n/hc.crt'],
      ['--key=/etc/kubernetes/pki/etcd/healthcheck-client.key', '--key=/n/hc.key'],
    ]),
  },
  {
    it: 'gives a probe other certificates in items of their own, and leaves variables and other flags',
    text: small(
      '    command: [etcd]\n    readinessProbe: {exec: {command: [etcdctl, --cert, /old.crt, "--key=/old.key", --cacert, $CA, --endpoints=x]}}\n',
    ),
    probeFlags: { cert: '/new.crt', key: '/new.key', cacert: '/ca.crt' },
    want: small(
      '    command: [etcd]\n    readinessProbe: {exec: {command: [etcdctl, --cert, /new.crt, "--key=/new.key", --cacert, $CA, --endpoints=x]}}\n',
    ),
  },
  {
    it: 'leaves a probe over HTTP',
    text: etcd120,
    probeFlags: { cert: '/new.crt' },
    want: etcd120,
  },
];

const refusals: (Wanted & { it: string; text: string; message: RegExp; line?: number })[] = [
  {
    it: 'a variable with its value from elsewhere',
    text: small('    command: [etcd]\n    env:\n    - {name: X, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}\n'),
    environment: { X: '1' },
    message: /X has its value from elsewhere/,
  },
  {
    it: 'aliases',
    text: small('    command: &c [etcd]\n    x: *c\n'),
    flags: { name: set('a') },
    message: /aliases/,
  },
];

describe('rewriteManifest', () => {
  for (const { it: what, text, want, container = 'etcd', ...wanted } of rows) {
    it(what, () => {
      const once = rewrite(podOf(text, container), wanted);
      assert.equal(once, want);
      const again = { ...wanted, flags: withoutMaps(wanted.flags) };
      assert.equal(rewrite(podOf(once, container), again), once, 'twice');
    });
  }

  for (const { it: what, text, message, ...wanted } of refusals) {
    it(`refuses ${what}`, () => {
      assert.throws(() => rewrite(podOf(text, 'etcd'), wanted), {
        reason: 'invalid-request',
        message,
        place: { path: '/etc/kubernetes/manifests/etcd.yaml', line: undefined },
      });
    });
  }
});

describe('markRestart', () => {
  const mark = '"@kube-mtls:change-id@"';
  const marks: [string, string, string][] = [
    [
      'beside the annotations that are there',
      etcd120,
      etcd120.replace(/(advertise-client-urls: .*\n)/, `$1    kube-mtls.io/restarted-by: ${mark}\n`),
    ],
    [
      'in annotations of its own',
      scheduler120,
      scheduler120.replace(
        '  namespace: kube-system\n',
        `  namespace: kube-system\n  annotations:\n    kube-mtls.io/restarted-by: ${mark}\n`,
      ),
    ],
    [
      'in annotations that are empty',
      'metadata:\n  annotations:\n  name: x\n',
      `metadata:\n  annotations: {kube-mtls.io/restarted-by: ${mark}}\n  name: x\n`,
    ],
    [
      'in the place of the mark before',
      'metadata:\n  annotations: # a\n    kube-mtls.io/restarted-by: "20260101T000000Z-1"  # b\n',
      `metadata:\n  annotations: # a\n    kube-mtls.io/restarted-by: ${mark}  # b\n`,
    ],
  ];
  for (const [what, text, want] of marks) {
    it(`sets the mark ${what}`, () => {
      assert.equal(markRestart(text), want);
      assert.equal(markRestart(want), want);
    });
  }
});

/** What is made of a value has no end; a value that is set has. */
function withoutMaps(flags: Record<string, FlagEdit> = {}): Record<string, FlagEdit> {
  return Object.fromEntries(Object.entries(flags).filter(([, edit]) => edit === 'drop' || 'set' in edit));
}
