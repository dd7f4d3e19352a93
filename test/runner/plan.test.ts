import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planRun } from './plan.ts';

const namesOf = (words: readonly string[], full: boolean) => planRun(words, full).map(({ name }) => name);

describe('the plan of a run', () => {
  it('runs everything in full, and for npm test a part of it', () => {
    const [quick, full] = [namesOf([], false), namesOf([], true)];
    for (const name of ['unit', 'integration', 'etcd', 'lintian', 'cluster/adopt-units', 'hosts/etcd-migration']) {
      assert.ok(quick.includes(name), name);
    }
    assert.ok(quick.every((name) => full.includes(name)) && full.length > quick.length);
    assert.ok(!quick.includes('cluster/renewal'));
  });

  it('begins with the check, and then with what takes longest', () => {
    assert.deepEqual(namesOf([], false).slice(0, 2), ['check', 'unit']);
    const [check, ...others] = planRun([], true);
    assert.equal(check?.name, 'check');
    assert.deepEqual(
      others,
      others.toSorted((one, other) => other.minutes - one.minutes),
    );
  });

  it('runs what is named, by job or by folder, also what npm test leaves out', () => {
    assert.deepEqual(namesOf(['unit', 'cluster/renewal'], false), ['cluster/renewal', 'unit']);
    const hosts = namesOf(['hosts'], false);
    assert.ok(hosts.includes('hosts/join') && hosts.every((name) => name.startsWith('hosts/')));
  });

  it('has files in every job of tests', () => {
    for (const { name, kind, files } of planRun([], true)) assert.equal(files.length > 0, kind !== 'check', name);
  });

  it('refuses a name that names nothing', () => {
    assert.throws(() => planRun(['hosts', 'nothing', 'uni'], false), /^Error: there is no test nothing, uni$/);
  });
});
