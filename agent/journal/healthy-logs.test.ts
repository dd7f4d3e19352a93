import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { type Component, components } from '../../common/names/names.ts';
import { classify } from './classify.ts';
import type { JournalEntry } from './journal-entry.ts';
import { judgeJournal } from './judge-journal.ts';

const CAPTURES = new URL('./fixtures/journal-v1.20/', import.meta.url);
/** Written after the sources and public logs: what components say when tenants' things break, not theirs. */
const UNDER_LOAD = new URL('./fixtures/healthy-under-load.jsonl', import.meta.url);

interface Line {
  component: Component;
  message: string;
  fromSystemd: boolean;
}

function rows(file: URL): Record<string, string>[] {
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Record<string, string>); // our own fixtures, texts only
}

/** What a capture of a component that is well holds; lines of systemd stand in init.scope. */
function captured(file: string): Line[] {
  const component = file.startsWith('etcd-') ? 'etcd' : 'kube-apiserver';
  return rows(new URL(file, CAPTURES)).map(({ m = '', u }) => ({
    component,
    message: m,
    fromSystemd: u === 'init.scope',
  }));
}

const underLoad: Line[] = rows(UNDER_LOAD).map(({ component = '', line = '' }) => {
  assert.ok(components.is(component), component);
  return { component, message: line, fromSystemd: false };
});

/** The same lines as other processes, callers and times would write them. */
function variants(lines: readonly Line[]): Line[] {
  const pids = [
    ['163]', '9]'],
    [' 163 ', '       1 '],
    ['10.77.0.', '192.168.7.'],
    ['10:14:03', '23:59:59'],
  ] as const;
  return pids.flatMap(([from, to]) => lines.map((line) => ({ ...line, message: line.message.replaceAll(from, to) })));
}

const failures = (lines: readonly Line[]) => lines.filter((line) => classify(line.component, line)?.role === 'failure');

describe('the log of what is healthy', () => {
  for (const file of readdirSync(CAPTURES).filter((name) => /healthy|noise|good/.test(name))) {
    it(`${file} holds no failure`, () => assert.deepEqual(failures(captured(file)), []));
  }

  for (const component of components.all.filter((each) => each !== 'admin')) {
    const lines = underLoad.filter((line) => line.component === component);

    it(`of a ${component} under load holds no failure`, () => {
      assert.ok(lines.length > 5);
      assert.deepEqual(failures([...lines, ...variants(lines)]), []);
    });

    it(`of a ${component} under load is not judged failed while it takes new files up`, () => {
      const entries = lines.map(
        ({ message }, index): JournalEntry => ({
          cursor: `c${index}`,
          realtimeMs: index,
          unit: 'x.service',
          identifier: component,
          pid: 1,
          invocationId: 'a',
          message,
          fromSystemd: false,
        }),
      );
      const about = { component, unit: 'x.service', invocationId: 'a', target: 'enforced', live: true } as const;
      const outcome = judgeJournal({ ...about, entries });
      assert.equal(outcome.result, 'passed', outcome.summary);
    });
  }
});
