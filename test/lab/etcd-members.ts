/** Three etcd members e1, e2 and e3 that speak plaintext, each its host, with the CA server on e1, and somebody who writes to them. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Component } from '../../common/names/names.ts';
import type { Beside } from './beside.ts';
import { startPlainEtcd } from './etcd-cluster.ts';
import { startWriter, writerTable } from './etcd-writer.ts';
import { joinNode, startServer } from './fleet.ts';
import { FleetSteps } from './fleet-steps.ts';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';
import { Operator } from './operator.ts';
import { type LabSteps, stepsOnLab } from './steps.ts';
import type { WriterReport } from './write-etcd.ts';

const VERIFIED_MS = 420_000;
/** So long it is written once a change is over, so that some writes are sure to go over what it left. */
const AFTERWARDS_MS = 3000;

/** What tests need of them. */
export interface EtcdMembers extends Pick<LabSteps, 'lab' | 'say' | 'step'> {
  hosts(): readonly [Host, Host, Host];
  operator(): Operator;
  /** Has every member join, e1 first. */
  joinAll(): Promise<void>;
  /** Follows their steps; told once. */
  steps(): FleetSteps;
  /** The etcd of each host. */
  readonly wanted: Readonly<Record<string, readonly Component[]>>;
  /** Waits until all are VERIFIED; a change that is undone fails. */
  untilVerified(): Promise<void>;
  /**
   * Writes ten times a second while something is done, and a little longer.
   *
   * @throws AssertionError when an acknowledged write is lost, or too few were made to prove anything
   */
  writesThrough(change: () => Promise<void>): Promise<WriterReport>;
}

/** Boots them before the first step; `before` comes before etcd starts. */
export function onEtcdMembers(cluster: string, before: (lab: Lab) => Promise<void> = async () => {}): EtcdMembers {
  const { lab, say, prepare, step, atEnd } = stepsOnLab();
  let operator: Operator | undefined;
  let writer: Beside<WriterReport> | undefined;
  let hosts: [Host, Host, Host] | undefined;
  let steps: FleetSteps | undefined;
  atEnd(() => operator?.close());
  atEnd(() => writer?.stop());

  prepare(async () => {
    const [e1, e2, e3] = [
      await lab().boot('e1', '10.77.0.11'),
      await lab().boot('e2', '10.77.0.12'),
      await lab().boot('e3', '10.77.0.13'),
    ];
    hosts = [e1, e2, e3];
    await before(lab());
    await startPlainEtcd(hosts);
    await startServer(e1, { cluster, apiEndpoint: `${e1.ip}:6443`, peerWatch: '3s' });
    operator = await Operator.of(e1);
    steps = new FleetSteps(operator, say);
  });

  const members: EtcdMembers = {
    lab,
    say,
    step,
    wanted: { e1: ['etcd'], e2: ['etcd'], e3: ['etcd'] },
    hosts: () => hosts ?? assert.fail('the hosts are not there'),
    operator: () => operator ?? assert.fail('the server does not run'),
    steps: () => steps ?? assert.fail('the server does not run'),
    async joinAll() {
      const [e1] = members.hosts();
      for (const host of members.hosts()) await joinNode(e1, host, { role: host === e1 ? 'control-plane' : 'etcd' });
    },
    untilVerified: () => members.steps().untilVerified(members.wanted, VERIFIED_MS),
    async writesThrough(change) {
      writer = startWriter([...members.hosts()]);
      let report: WriterReport;
      try {
        await change();
        await delay(AFTERWARDS_MS);
      } finally {
        report = await writer.stop();
        writer = undefined;
        console.log(writerTable(report));
      }
      assert.equal(report.lost, 0);
      assert.ok(report.acknowledged > 200, 'too few writes to prove anything');
      assert.ok(report.overTls > 20, 'no write went over mutual TLS');
      return report;
    },
  };
  return members;
}
