import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planRun } from './plan.ts';

const namesOf = (words: readonly string[], full: boolean) =>
  planRun(words, full, 2).map(({ jobs }) => jobs.map(({ name }) => name));

describe('the plan of a run', () => {
  it('runs everything in full, and for npm test a part of it', () => {
    const [[quickProcessor = [], quickLabs = []], [processor = [], labs = []]] = [
      namesOf([], false),
      namesOf([], true),
    ];
    assert.deepEqual(quickProcessor, ['check', 'unit', 'integration', 'etcd', 'lintian']);
    assert.deepEqual(processor, quickProcessor);
    assert.ok(quickLabs.includes('cluster/adopt-units') && quickLabs.includes('hosts/etcd-migration'));
    assert.ok(quickLabs.every((name) => labs.includes(name)) && labs.length > quickLabs.length);
  });

  it('runs what is named, by job or by folder, also what npm test leaves out', () => {
    assert.deepEqual(namesOf(['unit', 'cluster/renewal'], false), [['unit'], ['cluster/renewal']]);
    const [processor, labs] = namesOf(['hosts'], false);
    assert.deepEqual(processor, []);
    assert.ok(labs?.includes('hosts/join') && labs.every((name) => name.startsWith('hosts/')));
  });

  it('has files in every job of tests', () => {
    const jobs = planRun([], true, 1).flatMap((lane) => lane.jobs);
    for (const { name, kind, files } of jobs) assert.equal(files.length > 0, kind !== 'check', name);
  });

  it('refuses a name that names nothing', () => {
    assert.throws(() => planRun(['hosts', 'nothing', 'uni'], false, 1), /^Error: there is no test nothing, uni$/);
  });
});
