import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { maskSecrets } from './mask-secrets.ts';

const rows: [string, string, string][] = [
  ['a value in its line', 'user:\n  client-key-data: c2VjcmV0\n', 'user:\n  client-key-data: [redacted]\n'],
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
