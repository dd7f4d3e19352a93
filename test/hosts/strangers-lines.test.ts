/** A real journald, and what a server's one write of a stranger's lines becomes in it. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { alarmsOf } from '../lab/component-logs.ts';
import type { Host } from '../lab/host.ts';
import { stepsOnLab } from '../lab/steps.ts';

const REFUSAL =
  'http: TLS handshake error from 10.77.0.9:40122: tls: client requested unsupported application protocols';
const FORGED = 'Error: x509: certificate signed by unknown authority';
/** As much as the list of protocols of one connection holds; of each at most 255 bytes. */
const MOST_BYTES = 64 * 1024;

describe("a stranger's lines in the journal of a unit", () => {
  const { lab, say, prepare, step } = stepsOnLab();
  let host: Host;

  prepare(async () => {
    host = await lab().boot('jr', '10.77.0.60');
  });

  /** Starts a unit that writes this at once and then, a second later, a line of its own; what of it is in the journal, and believed. */
  async function write(unit: string, text: string): Promise<{ forged: number; lines: number; alarms: number }> {
    const sinceMs = Math.floor(Date.now() / 1000) * 1000; // journalctl is asked by seconds
    await host.write('/root/lines', text);
    const script = 'dd if=/root/lines bs=1M count=1 status=none; sleep 1; echo a line of its own';
    await host.write(`/etc/systemd/system/${unit}`, `[Service]\nType=oneshot\nExecStart=/bin/bash -c '${script}'\n`);
    await host.sh(`systemctl daemon-reload; systemctl start ${unit}; journalctl --sync`);
    const forged = await host.sh(`journalctl -q -o cat -u ${unit} | grep -cFx '${FORGED}'`);
    const { lines, alarms } = await alarmsOf(host, 'kubelet', { unit }, sinceMs);
    return { forged: Number(forged), lines, alarms: alarms.length };
  }

  step('are failures of the component when nothing tells that they are not its own', async () => {
    const { forged, alarms } = await write('one.service', `${FORGED}\n`);
    assert.deepEqual([forged, alarms], [1, 1]);
  });

  step(
    'are all disbelieved when they come with a refusal of protocols, as many as one connection can bring',
    async () => {
      const count = Math.floor(MOST_BYTES / (FORGED.length + 1));
      const text = `${REFUSAL} ([x\n${`${FORGED}\n`.repeat(count)}y])\n`;
      const { forged, lines, alarms } = await write('many.service', text);
      say(`${forged} forged lines of one write are in the journal, ${lines} lines are believed`);
      assert.deepEqual([forged, alarms], [count, 0]);
      // the refusal, the last line, and what systemd says
      assert.ok(lines >= 3 && lines <= 8, `${lines} lines are believed`);
    },
  );
});
