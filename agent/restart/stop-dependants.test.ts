import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import type { RunCommand } from '../../common/run/command.ts';
import type { ComponentRecord } from '../stage/change-record.ts';
import { dependantUnits, stopUnit } from './stop-dependants.ts';

/** A component in the journal that runs as a unit, wanted and restarted. */
function entry(component: ComponentRecord['component'], patch: Partial<ComponentRecord> = {}): ComponentRecord {
  return {
    component,
    process: { kind: 'unit', unit: `${component}.service` },
    takeUp: 'restart',
    folder: `/etc/kube-mtls/pki/${component}`,
    oldTarget: null,
    newTarget: 'v1',
    files: [],
    memberUpdate: null,
    memberUpdateBegun: false,
    processBefore: { invocationId: 'a', activeState: 'active', wanted: true },
    restartBegun: false,
    restoredInvocationId: null,
    ...patch,
  };
}
const pod = (component: string): Partial<ComponentRecord> => ({
  process: {
    kind: 'static-pod',
    pod: `${component}-cp1`,
    namespace: 'kube-system',
    container: component,
    manifest: `/etc/kubernetes/manifests/${component}.yaml`,
  },
});
const stopped: Partial<ComponentRecord> = {
  processBefore: { invocationId: '', activeState: 'inactive', wanted: false },
};

describe('dependantUnits', () => {
  const [etcd, apiserver] = ['etcd', 'kube-apiserver'] as const;
  const rows: [title: string, components: ComponentRecord[], units: string[]][] = [
    ['an API server that restarts with etcd', [entry(etcd), entry(apiserver)], ['kube-apiserver.service']],
    [
      'an API server beside an etcd that is a static pod',
      [entry(etcd, pod(etcd)), entry(apiserver)],
      ['kube-apiserver.service'],
    ],
    ['no API server that is a static pod', [entry(etcd), entry(apiserver, pod(apiserver))], []],
    ['none without etcd', [entry(apiserver)], []],
    ['none when etcd is live', [entry(etcd, { takeUp: 'live' }), entry(apiserver)], []],
    ['none when the API server is live', [entry(etcd), entry(apiserver, { takeUp: 'live' })], []],
    ['none when etcd is left stopped', [entry(etcd, stopped), entry(apiserver)], []],
    ['none that is left stopped', [entry(etcd), entry(apiserver, stopped)], []],
    ['not kubelet, without which no pod starts', [entry(etcd, pod(etcd)), entry('kubelet')], []],
  ];
  for (const [title, components, units] of rows) {
    it(`names ${title}`, () => {
      assert.deepEqual(
        dependantUnits(components).map(({ unit }) => unit),
        units,
      );
    });
  }
});

describe('stopUnit', () => {
  it('is content with a unit that does not stop, and passes on what else goes wrong', async () => {
    const failing =
      (reason: 'deadline' | 'unavailable'): RunCommand =>
      async () => {
        throw new AppError(reason, 'no');
      };
    await stopUnit(failing('deadline'), 'a.service');
    await stopUnit(async () => ({ code: 1, stdout: '', stderr: 'no such unit' }), 'a.service');
    await assert.rejects(stopUnit(failing('unavailable'), 'a.service'), { reason: 'unavailable' });
  });
});
