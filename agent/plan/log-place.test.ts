import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Detected } from '../detect/detected.ts';
import { detectedEtcd, detectedManager } from '../verify/detected-for-tests.ts';
import { logElsewhere } from './log-place.ts';

const LOG = '/var/log/kube-scheduler.log';

/** A scheduler with these flags, and these lines in its unit and in a drop-in of somebody. */
function scheduler(flags: Record<string, string>, unit = '', dropIn = ''): Detected {
  const detected = detectedManager('kube-scheduler', flags);
  const file = (path: string, lines: string) => ({ path, text: `[Service]\n${lines}\n`, mode: 0o644, uid: 0, gid: 0 });
  const files = [file('/etc/systemd/system/kube-scheduler.service', unit), file('/etc/systemd/system/x.conf', dropIn)];
  if (detected.process.kind !== 'unit') assert.fail('it runs as a unit');
  return { ...detected, process: { ...detected.process, files } };
}

describe('logElsewhere', () => {
  const rows: [what: string, detected: Detected, place: string | undefined][] = [
    ['systemd sends it to the journal by default', scheduler({}), undefined],
    ['it goes to the journal and the console', scheduler({}, 'StandardOutput=journal+console'), undefined],
    ['it is appended to a file', scheduler({}, `StandardOutput=append:${LOG}`), `append:${LOG}`],
    ['its errors go to a file', scheduler({}, `StandardError=file:${LOG}`), `file:${LOG}`],
    [
      'only what is no log goes to a file',
      scheduler({}, `StandardOutput=file:${LOG}\nStandardError=journal`),
      undefined,
    ],
    ['a drop-in sends it nowhere', scheduler({}, '', 'StandardOutput=null'), 'null'],
    [
      'a drop-in takes a file back',
      scheduler({}, `StandardError=file:${LOG}`, 'StandardError=\nStandardOutput=journal'),
      undefined,
    ],
    ['klog writes a file', scheduler({ logtostderr: 'false', 'log-file': LOG }), LOG],
    ['klog writes files into a folder', scheduler({ logtostderr: 'false', 'log-dir': '/var/log/k' }), '/var/log/k'],
    ['klog writes into its default folder', scheduler({ logtostderr: 'false' }), '/tmp'],
    ['klog does not heed the file', scheduler({ 'log-file': LOG }), undefined],
    ['klog writes both', scheduler({ logtostderr: 'false', alsologtostderr: 'true', 'log-file': LOG }), undefined],
    ['etcd writes to its error output', detectedEtcd({ 'log-outputs': 'stderr' }), undefined],
    ['etcd writes a file', detectedEtcd({ 'log-outputs': '/var/log/etcd.log' }), '/var/log/etcd.log'],
    ['etcd writes both', detectedEtcd({ 'log-outputs': '/var/log/etcd.log,stderr' }), undefined],
    ['etcd writes as it does by default', detectedEtcd({}), undefined],
  ];
  for (const [what, detected, place] of rows) {
    it(`is ${place ?? 'nowhere else'} where ${what}`, () => assert.equal(logElsewhere(detected), place));
  }
});
