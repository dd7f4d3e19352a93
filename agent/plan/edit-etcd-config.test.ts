import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { editEtcdConfig } from './edit-etcd-config.ts';

const rows: { it: string; text: string; settings: Record<string, string>; want: string }[] = [
  {
    it: 'fills the sections of the sample that etcd ships, and keeps its comments',
    text: [
      "# Human-readable name for this member.\nname: 'default'\n",
      'listen-client-urls: http://localhost:2379 # clients\n',
      'client-transport-security:\n  # Path to the client server TLS cert file.\n  cert-file:\n\n  # Enable client cert authentication.\n  client-cert-auth: false\n',
      'peer-transport-security:\n  cert-file: /old.crt\n# end\n',
    ].join('\n'),
    settings: {
      'cert-file': '/s.crt',
      'client-cert-auth': 'true',
      'trusted-ca-file': '/ca.crt',
      'peer-cert-file': '/p.crt',
      'peer-client-cert-auth': 'true',
      'listen-client-urls': 'https://localhost:2379,https://[::1]:2379',
      'initial-cluster': 'default=https://localhost:2380',
    },
    want: [
      "# Human-readable name for this member.\nname: 'default'\n",
      'listen-client-urls: "https://localhost:2379,https://[::1]:2379" # clients\n',
      'client-transport-security:\n  # Path to the client server TLS cert file.\n  cert-file: /s.crt\n\n  # Enable client cert authentication.\n  client-cert-auth: true\n  trusted-ca-file: /ca.crt\n',
      'peer-transport-security:\n  cert-file: /p.crt\n  client-cert-auth: true\ninitial-cluster: "default=https://localhost:2380"\n# end\n',
    ].join('\n'),
  },
  {
    it: 'makes the sections that are not there',
    text: 'name: a\n',
    settings: { 'key-file': '/s.key', 'peer-key-file': '/p.key', 'peer-trusted-ca-file': '/ca.crt' },
    want: 'name: a\nclient-transport-security:\n  key-file: /s.key\npeer-transport-security:\n  key-file: /p.key\n  trusted-ca-file: /ca.crt\n',
  },
  {
    it: 'fills a section that is empty',
    text: 'client-transport-security:\nname: a\n',
    settings: { 'cert-file': '/s.crt', 'key-file': '/s.key' },
    want: 'client-transport-security: {cert-file: /s.crt, key-file: /s.key}\nname: a\n',
  },
  {
    it: 'replaces words that YAML 1.1 takes for true',
    text: 'client-transport-security: {client-cert-auth: yes}\r\n',
    settings: { 'client-cert-auth': 'true' },
    want: 'client-transport-security: {client-cert-auth: true}\r\n',
  },
];

describe('editEtcdConfig', () => {
  for (const { it: what, text, settings, want } of rows) {
    it(what, () => {
      const wanted = new Map(Object.entries(settings));
      const once = editEtcdConfig(text, wanted);
      assert.equal(once, want);
      assert.equal(editEtcdConfig(once, wanted), once, 'twice');
    });
  }

  it('refuses a list where etcd wants a line', () => {
    const text = 'listen-peer-urls:\n- http://a:2380\n';
    assert.throws(() => editEtcdConfig(text, new Map([['listen-peer-urls', 'https://a:2380']])), {
      reason: 'invalid-request',
      message: /listen-peer-urls is no single value/,
    });
  });
});
