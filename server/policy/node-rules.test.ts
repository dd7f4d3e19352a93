import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import type { Role } from '../../common/names/names.ts';
import { assertNodeName } from './node-rules.ts';
import { sampleConfig } from './policy-for-tests.ts';

const config = sampleConfig('apiServer: {extraNames: [api.example]}');

describe('assertNodeName', () => {
  for (const name of [
    'w1',
    'ip-10-0-0-1.eu.example',
    '10.0.0.11',
    'a',
    'a'.repeat(63),
    `${'a.'.repeat(126)}a`,
    'svc1',
  ]) {
    it(`takes ${name.slice(0, 40)}`, () => assertNodeName(name, 'worker', config));
  }

  const rows: [name: string, role: Role, reason: Reason][] = [
    ['', 'worker', 'invalid-request'],
    ['W1', 'worker', 'invalid-request'],
    ['w_1', 'worker', 'invalid-request'],
    ['-w1', 'worker', 'invalid-request'],
    ['w1-', 'worker', 'invalid-request'],
    ['w1.', 'worker', 'invalid-request'],
    ['.w1', 'worker', 'invalid-request'],
    ['w..1', 'worker', 'invalid-request'],
    ['w1/../cp1', 'worker', 'invalid-request'],
    ['w1\n', 'worker', 'invalid-request'],
    ['w1\u0000', 'worker', 'invalid-request'],
    ['wé', 'worker', 'invalid-request'],
    ['*', 'worker', 'invalid-request'],
    ['a'.repeat(64), 'worker', 'invalid-request'],
    [`${'a.'.repeat(127)}a`, 'worker', 'invalid-request'],
    ['kubernetes', 'control-plane', 'policy-refused'],
    ['kubernetes.default', 'control-plane', 'policy-refused'],
    ['kubernetes.default.svc', 'worker', 'policy-refused'],
    ['webhook.kube-system.svc', 'worker', 'policy-refused'],
    ['kubernetes.default.svc.cluster.local', 'worker', 'policy-refused'],
    ['localhost', 'etcd', 'policy-refused'],
    ['server', 'worker', 'policy-refused'],
    ['lb.example', 'worker', 'policy-refused'],
    ['api.example', 'etcd', 'policy-refused'],
  ];
  for (const [name, role, reason] of rows) {
    it(`refuses ${JSON.stringify(name.slice(0, 40))} for ${role}: ${reason}`, () => {
      assert.throws(
        () => assertNodeName(name, role, config),
        (error) => error instanceof AppError && error.reason === reason,
      );
    });
  }

  it('lets a control plane node be called as the endpoint is, for it may be the endpoint', () => {
    assertNodeName('lb.example', 'control-plane', config);
  });
});
