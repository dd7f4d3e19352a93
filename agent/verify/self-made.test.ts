import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { detectedKubelet } from './detected-for-tests.ts';
import { isSelfMade } from './self-made.ts';

describe('isSelfMade', () => {
  const cases: [what: string, texts: Parameters<typeof detectedKubelet>[0], is: boolean][] = [
    ['is given no certificate', {}, true],
    ['is given one by its configuration', { config: 'tlsCertFile: /etc/kubelet.crt\n' }, false],
    ['is given one by a flag', { flags: { 'tls-cert-file': '/etc/kubelet.crt' } }, false],
    ['asks the cluster for one', { config: 'serverTLSBootstrap: true\n' }, false],
    ['does not ask', { config: 'serverTLSBootstrap: false\n' }, true],
    ['asks by a flag', { flags: { 'rotate-server-certificates': 'true' } }, false],
    [
      'is told not to by a flag, which wins',
      { flags: { 'rotate-server-certificates': 'false' }, config: 'serverTLSBootstrap: true\n' },
      true,
    ],
  ];
  for (const [what, texts, is] of cases) {
    it(`says ${is} of a kubelet that ${what}`, () => assert.equal(isSelfMade(detectedKubelet(texts)), is));
  }
});
