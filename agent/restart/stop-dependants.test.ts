import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { silentLog } from '../../common/log/log.ts';
import type { RunCommand } from '../../common/run/command.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { layoutBelow } from '../layout.ts';
import type { ComponentRecord } from '../stage/change-record.ts';
import type { EndingDeps } from './end-slow-stop.ts';
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
  const dependant = { component: 'kube-apiserver', unit: 'a.service' } as const;
  const deps = (job: RunCommand): EndingDeps => ({
    layout: layoutBelow('/nonexistent'),
    clock: new FakeClock(),
    log: silentLog,
    run: async (argv, options) =>
      argv[1] === 'show' ? { code: 0, stdout: 'ActiveState=active\nMainPID=7\n', stderr: '' } : job(argv, options),
  });

  it('is content with a unit that does not stop, and passes on what else goes wrong', async () => {
    const failing =
      (reason: 'deadline' | 'unavailable'): RunCommand =>
      async () => {
        throw new AppError(reason, 'no');
      };
    await stopUnit(deps(failing('deadline')), dependant);
    await stopUnit(
      deps(async () => ({ code: 1, stdout: '', stderr: 'no such unit' })),
      dependant,
    );
    await assert.rejects(stopUnit(deps(failing('unavailable')), dependant), { reason: 'unavailable' });
  });

  it('is content with a unit that is gone', async () => {
    const gone: EndingDeps = {
      ...deps(async () => ({ code: 5, stdout: '', stderr: 'not loaded' })),
      run: async () => ({ code: 0, stdout: 'LoadState=not-found\nActiveState=inactive\n', stderr: '' }),
    };
    await stopUnit(gone, dependant);
  });
});
