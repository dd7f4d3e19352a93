import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { NotUnderstood } from '../detect/not-understood.ts';
import { attempt, editFiles } from './edit-file.ts';

const file = { path: '/etc/a.yaml', text: 'a', mode: 0o600, uid: 1, gid: 2 };

describe('attempt', () => {
  it('gives what was made', () => {
    assert.deepEqual(
      attempt('etcd', '/f', 0, () => 1),
      { made: 1, problems: [] },
    );
  });

  const rows: [string, Error, object][] = [
    [
      'a refusal with a line',
      new AppError('invalid-request', 'line 7: no map'),
      { path: '/f', line: 7, message: 'no map' },
    ],
    ['a refusal without one', new AppError('invalid-request', 'no map'), { path: '/f', message: 'no map' }],
    [
      'what is not understood, where it stands itself',
      new NotUnderstood('odd', { path: '/g', line: 3 }),
      { path: '/g', line: 3, message: 'odd' },
    ],
    ['what is not understood nowhere', new NotUnderstood('odd', { path: '' }), { path: '/f', message: 'odd' }],
  ];
  for (const [what, error, problem] of rows) {
    it(`makes a problem of ${what}`, () => {
      const fail = () => {
        throw error;
      };
      assert.deepEqual(attempt('etcd', '/f', 0, fail), { made: 0, problems: [{ component: 'etcd', ...problem }] });
    });
  }
});

describe('editFiles', () => {
  it('edits each file, and leaves out those that refuse', () => {
    const { made, problems } = editFiles('kubelet', [file, { ...file, path: '/b', text: 'b' }], (text) => {
      if (text === 'b') throw new AppError('invalid-request', 'no');
      return 'c';
    });
    assert.deepEqual(made, [{ path: file.path, before: file, after: { ...file, text: 'c' }, restarts: false }]);
    assert.deepEqual(problems, [{ component: 'kubelet', path: '/b', message: 'no' }]);
  });
});
