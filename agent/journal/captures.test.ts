import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { oneClock } from '../../common/time/one-clock-for-tests.ts';
import { classify } from './classify.ts';
import type { Cause, Fault } from './finding.ts';
import { FindingLog } from './finding-log.ts';
import type { JournalEntry } from './journal-entry.ts';
import { judgeJournal } from './judge-journal.ts';
import { complaintsAbout } from './peer-complaints.ts';

/** Captured from real components, one file a situation, told by its name: v1.20.2 with etcd 3.4.23, v1.36, and etcd 3.5. */
const folderOf = (name: string) => new URL(`./fixtures/${name}/`, import.meta.url);
const FOLDER = folderOf('journal-v1.20');

/** A line of a capture: microseconds, priority, unit, program, message. */
interface Captured {
  t: string;
  u: string;
  c: string;
  m: string;
}

function speakerOf(file: string): Component {
  if (file.endsWith('-kcm.jsonl')) return 'kube-controller-manager';
  if (file.endsWith('-kubelet.jsonl')) return 'kubelet';
  return file.startsWith('etcd-') ? 'etcd' : 'kube-apiserver';
}

/** The entries of a capture, without invocations, which captures do not hold. */
function load(file: string, folder = FOLDER): JournalEntry[] {
  const lines = readFileSync(new URL(file, folder), 'utf8').split('\n').filter(Boolean);
  return lines.map((line, index) => {
    const captured = JSON.parse(line) as Captured; // our own fixture
    return {
      cursor: `${file} ${index}`,
      realtimeMs: Math.floor(Number(captured.t) / 1000),
      unit: `${speakerOf(file)}.service`,
      identifier: captured.c,
      pid: captured.u === 'init.scope' ? 1 : 100,
      invocationId: '',
      message: captured.m,
      fromSystemd: captured.u === 'init.scope',
    };
  });
}

const HEALTHY = { etcd: 'etcd-healthy-start.jsonl', 'kube-apiserver': 'api-restart-healthy.jsonl' } as const;

interface Row {
  file: string;
  /** Cause and fault of its failures. */
  failure: `${Cause} ${Fault}` | '';
  /** The verdict on these lines alone, as if the component had written nothing else. */
  alone: 'passed' | 'failed' | 'inconclusive';
  /** True when callers caused all of it, so that it decides nothing after a healthy start. */
  ofCallers?: boolean;
}

const ROWS: readonly Row[] = [
  { file: 'api-cert-garbage.jsonl', failure: 'malformed-file own', alone: 'failed' },
  { file: 'api-cert-missing.jsonl', failure: 'missing-file own', alone: 'failed' },
  { file: 'api-client-expired.jsonl', failure: 'expired peer-client', alone: 'inconclusive', ofCallers: true },
  {
    file: 'api-client-future.jsonl',
    failure: 'not-yet-valid peer-client',
    alone: 'inconclusive',
    ofCallers: true,
  },
  { file: 'api-client-good.jsonl', failure: '', alone: 'inconclusive', ofCallers: true },
  {
    file: 'api-client-unknown.jsonl',
    failure: 'unknown-authority peer-client',
    alone: 'inconclusive',
    ofCallers: true,
  },
  {
    file: 'api-client-wrongeku.jsonl',
    failure: 'wrong-usage peer-client',
    alone: 'inconclusive',
    ofCallers: true,
  },
  { file: 'api-clientca-garbage.jsonl', failure: 'malformed-file own', alone: 'failed' },
  { file: 'api-clientca-missing.jsonl', failure: 'missing-file own', alone: 'failed' },
  // the next four accuse nobody on their own host: handshake and peers must tell
  { file: 'api-clientca-other.jsonl', failure: 'unknown-authority peer-client', alone: 'passed' },
  { file: 'api-serving-expired.jsonl', failure: '', alone: 'passed' },
  { file: 'api-serving-no-san.jsonl', failure: '', alone: 'passed' },
  { file: 'api-serving-other-ca.jsonl', failure: '', alone: 'passed' },
  {
    file: 'etcd-cert-swapped-live.jsonl',
    failure: 'no-client-certificate peer-client',
    alone: 'inconclusive',
    ofCallers: true,
  },
  { file: 'api-etcd-tls-wrong.jsonl', failure: 'conflicting-setting peer-server', alone: 'failed' },
  { file: 'api-key-mismatch.jsonl', failure: 'key-mismatch own', alone: 'failed' },
  { file: 'api-probe-noise.jsonl', failure: '', alone: 'inconclusive', ofCallers: true },
  { file: 'api-restart-healthy.jsonl', failure: '', alone: 'passed' },
  // it refuses everybody, its own node too: the handshake tells, and this line why
  { file: 'etcd-ca-garbage.jsonl', failure: 'unknown-authority peer-client', alone: 'passed' },
  { file: 'etcd-cert-missing.jsonl', failure: 'missing-file own', alone: 'failed' },
  {
    file: 'etcd-client-distrusts-server.jsonl',
    failure: 'refused-by-peer own',
    alone: 'inconclusive',
    ofCallers: true,
  },
  {
    file: 'etcd-client-expired.jsonl',
    failure: 'expired peer-client',
    alone: 'inconclusive',
    ofCallers: true,
  },
  { file: 'etcd-client-good.jsonl', failure: '', alone: 'inconclusive', ofCallers: true },
  {
    file: 'etcd-client-no-cert.jsonl',
    failure: 'no-client-certificate peer-client',
    alone: 'inconclusive',
    ofCallers: true,
  },
  { file: 'etcd-client-plaintext.jsonl', failure: '', alone: 'inconclusive', ofCallers: true },
  {
    file: 'etcd-client-unknown-ca.jsonl',
    failure: 'unknown-authority peer-client',
    alone: 'inconclusive',
    ofCallers: true,
  },
  { file: 'etcd-healthy-start.jsonl', failure: '', alone: 'passed' },
  { file: 'etcd-key-mismatch.jsonl', failure: 'key-mismatch own', alone: 'failed' },
  { file: 'etcd-key-unreadable.jsonl', failure: 'unreadable-file own', alone: 'failed' },
  { file: 'etcd-probe-noise.jsonl', failure: '', alone: 'inconclusive', ofCallers: true },
];

/** The journals of peers: what they complain of. */
const PEER_ROWS = [
  { file: 'api-clientca-other-kcm.jsonl', failure: 'unauthorized own' },
  { file: 'api-clientca-other-kubelet.jsonl', failure: 'unauthorized own' },
  { file: 'api-serving-expired-kcm.jsonl', failure: 'expired peer-server' },
  { file: 'api-serving-expired-kubelet.jsonl', failure: 'expired peer-server' },
  { file: 'api-serving-no-san-kcm.jsonl', failure: 'wrong-name peer-server' },
  { file: 'api-serving-no-san-kubelet.jsonl', failure: 'wrong-name peer-server' },
  { file: 'api-serving-other-ca-kcm.jsonl', failure: 'unknown-authority peer-server' },
  { file: 'api-serving-other-ca-kubelet.jsonl', failure: 'unknown-authority peer-server' },
] as const;

function failuresOf(file: string, folder = FOLDER): string {
  const findings = load(file, folder).map((entry) => classify(speakerOf(file), entry));
  const failures = findings.filter((finding) => finding?.role === 'failure' && finding.cause !== 'start-failed');
  return [...new Set(failures.map((finding) => `${finding?.cause} ${finding?.fault}`))].join(', ');
}

function judge(entries: JournalEntry[], component: 'etcd' | 'kube-apiserver') {
  return judgeJournal({
    component,
    unit: `${component}.service`,
    entries,
    invocationId: '',
    target: 'enforced',
  });
}

describe('captured journals', () => {
  it('are all in the tables', () => {
    const inTables = [...ROWS, ...PEER_ROWS].map(({ file }) => file).sort();
    assert.deepEqual(inTables, readdirSync(FOLDER).sort());
  });

  for (const row of [...ROWS, ...PEER_ROWS]) {
    it(`${row.file}: ${row.failure || 'no failure'}`, () => assert.equal(failuresOf(row.file), row.failure));
  }

  for (const { file, failure, alone, ofCallers = false } of ROWS) {
    const component = file.startsWith('etcd-') ? 'etcd' : 'kube-apiserver';
    // our own probes are callers without a certificate, and of an API server with one of another CA
    const isHint =
      /^(?!no-client).* own$/.test(failure) || /^etcd-.* (?!no-client)\S+ peer-client$/.test(`${file} ${failure}`);
    it(`${file} alone is judged ${alone}`, () => {
      const outcome = judge(load(file), component);
      assert.equal(outcome.result, alone, outcome.summary);
      assert.ok(outcome.evidence.length <= 8);
      if (ofCallers) return;
      assert.ok(outcome.evidence.length > 0);
      const causes = outcome.evidence.map(({ cause }) => cause);
      if (alone === 'passed' && !isHint) assert.ok(causes.every((cause) => cause === ''));
      else assert.ok(causes.includes(failure.split(' ')[0] ?? ''), `${causes}`);
    });
    if (!ofCallers) continue;
    it(`${file} after a healthy start is judged passed: callers caused it`, () => {
      const outcome = judge([...load(HEALTHY[component]), ...load(file)], component);
      assert.equal(outcome.result, 'passed', outcome.summary);
      const hinted = outcome.evidence.some(({ cause }) => cause !== '' && cause === failure.split(' ')[0]);
      assert.equal(hinted, isHint);
    });
  }

  it('of healthy components and probes hold no failure at all', () => {
    for (const { file } of ROWS.filter((row) => /healthy|noise|good/.test(row.file))) {
      const failures = load(file).filter((entry) => classify(speakerOf(file), entry)?.role === 'failure');
      assert.deepEqual(failures, []);
    }
  });

  for (const { file, failure } of PEER_ROWS) {
    it(`${file} complains of the API server, and of no other`, () => {
      const log = new FindingLog(oneClock);
      for (const entry of load(file)) {
        const finding = classify(speakerOf(file), entry);
        if (finding !== undefined) log.add({ speaker: speakerOf(file), finding, entry });
      }
      const ask = (endpoint: string, component: 'etcd' | 'kube-apiserver' = 'kube-apiserver') =>
        complaintsAbout(log, { component, endpoints: [endpoint], sinceMs: 0 }).map(({ cause }) => cause);
      const cause = failure.split(' ')[0] ?? '';
      assert.deepEqual(ask('10.77.0.10:6443'), [cause]);
      assert.deepEqual(ask('10.77.0.10:6443', 'etcd'), []);
      // a 401 does not say who gave it
      assert.deepEqual(ask('10.77.0.12:6443'), cause === 'unauthorized' ? [cause] : []);
    });
  }

  for (const name of ['journal-v1.36', 'journal-etcd-3.5']) {
    const folder = folderOf(name);
    for (const file of readdirSync(folder)) {
      const row = [...ROWS, ...PEER_ROWS].find((each) => each.file === file) ?? assert.fail(`no row for ${file}`);
      it(`${name}/${file}: ${row.failure || 'no failure'}`, () => assert.equal(failuresOf(file, folder), row.failure));

      const component = speakerOf(file);
      if (component !== 'etcd' && component !== 'kube-apiserver') continue;
      // that capture begins with the end of a process, and its next one writes of nothing
      const decides =
        'alone' in row && row.alone === 'failed' && `${name}/${file}` !== 'journal-v1.36/api-clientca-missing.jsonl';
      it(`${name}/${file} is judged ${decides ? 'failed' : 'not failed'}`, () => {
        const outcome = judge(load(file, folder), component);
        assert.equal(outcome.result === 'failed', decides, outcome.summary);
      });
    }
  }

  it('of a healthy API server and etcd complain of nobody', () => {
    const log = new FindingLog(oneClock);
    for (const file of Object.values(HEALTHY)) {
      for (const entry of load(file)) {
        const finding = classify(speakerOf(file), entry);
        if (finding !== undefined) log.add({ speaker: speakerOf(file), finding, entry });
      }
    }
    assert.deepEqual(log.since(0), []);
  });
});
