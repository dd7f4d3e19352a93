/** Journal lines a second that an agent reads and classifies, against what components write. */
import { readdirSync, readFileSync } from 'node:fs';
import { classify } from '../../agent/journal/classify.ts';
import { parseEntry } from '../../agent/journal/journal-entry.ts';
import { splitLines } from '../../agent/journal/split-lines.ts';
import { AppError } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import { type Bench, type BenchResult, digits } from './figure.ts';

const FOLDER = new URL('../../agent/journal/fixtures/journal-v1.20/', import.meta.url);
const MEASURE_MS = 3000;
const WARM_UP_MS = 500;
const CHUNK_BYTES = 64 * 1024;
/** journald.conf(5) of systemd 252: 10000 lines in 30 s of a service, at most sixfold on a large disk; what is more is dropped. */
const JOURNALD_PER_SECOND = (10_000 / 30) * 6;

/** The bench. */
export const journal: Bench = {
  name: 'journal',
  about: 'journal lines a second read and classified, against what an API server writes',
  packages: [],
  run: measure,
};

/** A captured line: microseconds, unit, program, message. */
interface Captured {
  t: string;
  u: string;
  c: string;
  m: string;
}

interface Capture {
  speaker: Component;
  lines: Captured[];
  /** As journalctl --output=json writes it. */
  bytes: Buffer;
}

async function measure(say: (text: string) => void, signal: AbortSignal): Promise<BenchResult> {
  const captures = loadCaptures();
  const total = captures.reduce((sum, { lines }) => sum + lines.length, 0);
  say(`classifying ${total} captured lines again and again for ${MEASURE_MS / 1000} s`);
  await classifyFor(captures, WARM_UP_MS, signal);
  const perSecond = await classifyFor(captures, MEASURE_MS, signal);
  const busiest = busiestSecond(captures);
  return {
    figures: [
      {
        what: 'journal lines classified a second',
        ours: `${digits(perSecond)}/s`,
        against: `API server's busiest second: ${busiest}/s`,
        ratio: perSecond / busiest,
        better: 'more',
      },
      {
        what: 'journal lines classified a second',
        ours: `${digits(perSecond)}/s`,
        against: `most that journald takes of a unit: ${digits(JOURNALD_PER_SECOND)}/s`,
        ratio: perSecond / JOURNALD_PER_SECOND,
        better: 'more',
      },
    ],
    notes: [
      'from the bytes of journalctl --output=json to a finding (splitLines, parseEntry, classify), on one core; journalctl itself is not in it.',
      `busiest second: the most lines of kube-apiserver.service (v1.20.2, --v=2) within one second by the timestamps in agent/journal/fixtures; it was starting, and captures hold its last 160 lines at most. journald: 10000 in 30 s (journald.conf(5)), sixfold on a large disk.`,
    ],
  };
}

function loadCaptures(): Capture[] {
  return readdirSync(FOLDER).map((file) => {
    const speaker = speakerOf(file);
    const texts = readFileSync(new URL(file, FOLDER), 'utf8').split('\n').filter(Boolean);
    const lines = texts.map((line) => JSON.parse(line) as Captured); // our own fixture
    const bytes = Buffer.from(lines.map((line) => `${asJournalctl(line, speaker)}\n`).join(''));
    return { speaker, lines, bytes };
  });
}

function speakerOf(file: string): Component {
  if (file.endsWith('-kcm.jsonl')) return 'kube-controller-manager';
  if (file.endsWith('-kubelet.jsonl')) return 'kubelet';
  return file.startsWith('etcd-') ? 'etcd' : 'kube-apiserver';
}

/** The fields that the agent asks for, and those that journalctl adds, as long as real ones. */
function asJournalctl({ t, u, c, m }: Captured, speaker: Component): string {
  const id = '0123456789abcdef0123456789abcdef';
  const time = Number(t).toString(16);
  const ofSystemd = u === 'init.scope';
  return JSON.stringify({
    __CURSOR: `s=${id};i=1a2b3c;b=${id};m=${time};t=${time};x=0123456789abcdef`,
    __REALTIME_TIMESTAMP: t,
    __MONOTONIC_TIMESTAMP: t,
    _BOOT_ID: id,
    MESSAGE: m,
    SYSLOG_IDENTIFIER: c,
    _COMM: c,
    _PID: ofSystemd ? '1' : '448',
    _UID: '0',
    _SYSTEMD_UNIT: u,
    ...(ofSystemd ? { UNIT: `${speaker}.service`, INVOCATION_ID: id } : { _SYSTEMD_INVOCATION_ID: id }),
  });
}

/** Lines a second. */
async function classifyFor(captures: readonly Capture[], forMs: number, signal: AbortSignal): Promise<number> {
  const startMs = performance.now();
  let [lines, findings] = [0, 0];
  while (performance.now() - startMs < forMs) {
    signal.throwIfAborted();
    for (const { speaker, bytes } of captures) {
      for await (const line of splitLines(chunksOf(bytes), () => {})) {
        const entry = parseEntry(line);
        if (entry === undefined) throw new AppError('internal', `no entry of the journal: ${line.slice(0, 200)}`);
        if (classify(speaker, entry) !== undefined) findings++;
        lines++;
      }
    }
    await new Promise(setImmediate); // signals are taken only between turns
  }
  if (findings === 0) throw new AppError('internal', 'nothing was found in captures full of failures');
  return lines / ((performance.now() - startMs) / 1000);
}

/** Chunks as a pipe gives them. */
async function* chunksOf(bytes: Buffer): AsyncIterable<Uint8Array> {
  for (let from = 0; from < bytes.length; from += CHUNK_BYTES) yield bytes.subarray(from, from + CHUNK_BYTES);
}

/** The most lines that the API server itself wrote within one second, in any capture. */
function busiestSecond(captures: readonly Capture[]): number {
  let most = 0;
  for (const { lines } of captures) {
    const timesUs = lines.filter(({ u }) => u === 'kube-apiserver.service').map(({ t }) => Number(t));
    for (const startUs of timesUs) {
      most = Math.max(most, timesUs.filter((timeUs) => timeUs >= startUs && timeUs < startUs + 1_000_000).length);
    }
  }
  return most;
}
