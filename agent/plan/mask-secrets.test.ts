import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { maskSecrets } from './mask-secrets.ts';

const rows: [string, string, string][] = [
  ['a value in its line', 'user:\n  client-key-data: c2VjcmV0\n', 'user:\n  client-key-data: [redacted]\n'],
  [
    'a user in a URL',
    '    proxy-url: http://kube:S3cret@proxy:3128\n',
    '    proxy-url: http://[redacted]@proxy:3128\n',
  ],
  [
    'a variable of a container, and not of etcd',
    '    - name: AWS_SECRET\n      value: abc def\n    - name: ETCD_CERT_FILE\n      value: /a\n',
    '    - name: AWS_SECRET\n      value: [redacted]\n    - name: ETCD_CERT_FILE\n      value: /a\n',
  ],
  [
    'a variable in JSON',
    '"env":[{"name":"A","value":"b \\" c"},{"name":"ETCD_NAME","value":"m1"}]',
    '"env":[{"name":"A","value":[redacted]},{"name":"ETCD_NAME","value":"m1"}]',
  ],
  ['a quoted value', '  token: "a b"\n  x: 1\n', '  token: [redacted]\n  x: 1\n'],
  ['a flow mapping', 'user: {token: abc, x: 1}\n', 'user: {token: [redacted], x: 1}\n'],
  ['JSON', '{"user":{"client-key-data":"abc","x":1}}', '{"user":{"client-key-data":[redacted],"x":1}}'],
  ['JSON with an escaped quote', '{"password": "a\\"b", "x": 1}', '{"password": [redacted], "x": 1}'],
  [
    'a block of lines',
    '- token: |\n    abc\n\n    def\n  x: 1\n',
    '- token: [redacted]\n    [redacted]\n\n    [redacted]\n  x: 1\n',
  ],
  [
    'a value on the next line',
    'a:\n  client-key-data:\n    abc\nb: 1\n',
    'a:\n  client-key-data:\n    [redacted]\nb: 1\n',
  ],
  ['a plain value to its end', '  password: a, b c\n  x: 1\n', '  password: [redacted]\n  x: 1\n'],
  ['a plain value with spaces in a flow mapping', '{password: a b, x: 1}\n', '{password: [redacted], x: 1}\n'],
  [
    'a value behind a tag',
    'token: !!str abc\nu: {token: !!str "a b", x: 1}\n',
    'token: [redacted]\nu: {token: [redacted], x: 1}\n',
  ],
  [
    'a quoted value of several lines',
    '  token: "abc\n    def"\n  x: 1\n',
    '  token: [redacted]\n    [redacted]\n  x: 1\n',
  ],
  ['no line break of Windows', '  token: a b\r\n  x: 1\r\n', '  token: [redacted]\r\n  x: 1\r\n'],
  [
    'a private key',
    'x\n-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----\n',
    'x\n-----BEGIN EC PRIVATE KEY-----[redacted]-----END EC PRIVATE KEY-----\n',
  ],
  [
    'nothing that is only made later',
    'a:\n  client-key-data: "@kube-mtls:base64:admin.key@"\nb: {token: @kube-mtls:base64:x@}\n',
    'a:\n  client-key-data: "@kube-mtls:base64:admin.key@"\nb: {token: @kube-mtls:base64:x@}\n',
  ],
  ['what only begins like it', '  token: "@kube-mtls:base64:x@ secret"\n', '  token: [redacted]\n'],
  ['nothing that only looks alike', 'tokenFile: /x\nmy-token: y\n# token\n', 'tokenFile: /x\nmy-token: y\n# token\n'],
];

describe('maskSecrets', () => {
  for (const [what, text, want] of rows) {
    it(`masks ${what}`, () => {
      assert.equal(maskSecrets(text), want);
    });
  }
});
