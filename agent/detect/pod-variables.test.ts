import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expandPodVariables, podVariables } from './pod-variables.ts';

describe('variables of a container', () => {
  const variables = podVariables([
    { name: 'A', value: 'a' },
    { name: 'EMPTY' },
    { name: 'B', value: '$(A)-$(LATER)-$$(A)' },
    { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.hostIP' } } },
    { name: 'URL', value: 'https://$(IP):2379' },
    { name: 'LATER', value: '1' },
    { name: 'A', value: 'z' },
  ]);

  it('are read in their order, the last of a name counting', () => {
    assert.deepEqual(
      [...variables],
      [
        ['A', 'z'],
        ['EMPTY', ''],
        ['B', 'a-$(LATER)-$(A)'],
        ['IP', undefined],
        ['URL', undefined],
        ['LATER', '1'],
      ],
    );
  });

  const rows: [string, ReturnType<typeof expandPodVariables>][] = [
    ['--name=$(A)', { text: '--name=z' }],
    ['$(A)$(EMPTY)$(LATER)', { text: 'z1' }],
    ['$$(A) $$$(A) $A $', { text: '$(A) $z $A $' }],
    ['$(NOTHING) $(A', { text: '$(NOTHING) $(A' }],
    ['$(IP)', { unknown: 'IP' }],
    ['$(A) $(URL) $(IP)', { unknown: 'URL' }],
    ['https://$(KUBERNETES_SERVICE_HOST):$(KUBERNETES_SERVICE_PORT)', { unknown: 'KUBERNETES_SERVICE_HOST' }],
  ];
  for (const [text, expected] of rows) {
    it(`are filled into ${text}`, () => assert.deepEqual(expandPodVariables(text, variables), expected));
  }
});
