import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commandOf } from './manifest-command.ts';

const pod = (container: string) => `spec:\n  containers:\n  - name: etcd\n${container.replaceAll(/^/gm, '    ')}\n`;

describe('commandOf', () => {
  const cases: [title: string, text: string, command: string[] | undefined][] = [
    ['the command', pod('command: [etcd, --name=a]'), ['etcd', '--name=a']],
    ['the command and then the args', pod('command: [/bin/etcd]\nargs:\n- --name=a'), ['/bin/etcd', '--name=a']],
    [
      'variables of env filled in, also in later variables',
      pod(
        'command: [etcd, "--name=$(B)", "$(A)$(A)"]\nenv:\n- name: A\n  value: x\n- name: B\n  value: "$(A)-$(C)"\n- name: C\n  value: y',
      ),
      ['etcd', '--name=x-$(C)', 'xx'],
    ],
    [
      'unknown variables, those from elsewhere and empty ones as kubelet has them',
      pod(
        'command: [etcd, $(NONE), $(IP), "[$(EMPTY)]"]\nenv:\n- name: IP\n  valueFrom: {fieldRef: {fieldPath: status.podIP}}\n- name: EMPTY\n  value: ""',
      ),
      ['etcd', '$(NONE)', '$(IP)', '[]'],
    ],
    [
      'escaped and lone dollar signs',
      pod('command: [etcd, $$(A), $A, "$", $(A]\nenv:\n- name: A\n  value: x'),
      ['etcd', '$(A)', '$A', '$', '$(A'],
    ],
    ['JSON too', JSON.stringify({ spec: { containers: [{ name: 'etcd', command: ['etcd'] }] } }), ['etcd']],
    ['nothing of another container', pod('command: [etcd]').replace('name: etcd', 'name: other'), undefined],
    ['nothing where the image names the program', pod('args: [--name=a]'), undefined],
    ['nothing of an empty command', pod('command: []'), undefined],
    ['nothing of a number, which kubelet refuses too', pod('command: [etcd, 1]'), undefined],
    ['nothing of half a file', 'spec: {containers: [', undefined],
    ['nothing of an empty file', '', undefined],
    ['nothing of several documents', `${pod('command: [etcd]')}---\n${pod('command: [etcd]')}`, undefined],
  ];
  for (const [title, text, command] of cases) {
    it(`gives ${title}`, () => assert.deepEqual(commandOf(text, 'etcd'), command));
  }
});
