/** For the crash tests: what comes after a death at each step of one run is tried on a copy of the node, and the run goes on. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import type { FakeNode, Step } from '../stage/fake-node.ts';
import type { Flow } from './crash-for-tests.ts';

/** What comes after the process died. May do with the node what it likes, and do as {@link dieAtEachStep} with it. */
export type Afterwards = (node: FakeNode, passed: readonly string[]) => Promise<void>;

/**
 * Runs a flow to its end. At each of its steps it stands still, and what would come had its process died there comes on a copy.
 *
 * @param first number of the first step at which it dies, from 1
 * @returns the names of the steps
 * @throws the first error of what came after a death, or else of the flow
 */
export async function dieAtEachStep(node: FakeNode, flow: Flow, afterwards: Afterwards, first = 1): Promise<string[]> {
  const passed: string[] = [];
  await withPauses(async (pause) => {
    const step: Step = async (name) => {
      passed.push(name);
      if (passed.length >= first) await pause(() => onCopy(node, copyTree, (copy) => afterwards(copy, passed)));
    };
    await flow(node.deps(step), node);
  });
  return passed;
}

/**
 * Runs something that can be made to stand still while something else happens, whose error it never sees.
 *
 * @throws the first error of what happened in a pause, or else of the run
 */
export async function withPauses(
  run: (pause: (happen: () => Promise<void>) => Promise<void>) => Promise<void>,
): Promise<void> {
  const failed = Promise.withResolvers<never>();
  let isStill = false;
  const pause = async (happen: () => Promise<void>) => {
    try {
      assert.ok(!isStill, 'one thing goes on while another stands still');
      isStill = true;
      await happen();
      isStill = false;
    } catch (error) {
      failed.reject(error);
      await new Promise(() => {});
    }
  };
  await Promise.race([run(pause), failed.promise]);
}

/**
 * Lets something happen to a copy of the node at the same place, since journals hold whole paths; the node itself is out of the way
 * meanwhile and then as it was, down to its inodes.
 *
 * @param copyFiles makes the files of the copy
 */
export async function onCopy(
  node: FakeNode,
  copyFiles: (from: string, to: string) => void,
  happen: (copy: FakeNode) => Promise<void>,
): Promise<void> {
  const { root } = node.layout;
  const away = fs.mkdtempSync(`${root}-`);
  fs.renameSync(root, away);
  copyFiles(away, root);
  await happen(node.copy());
  fs.rmSync(root, { recursive: true });
  fs.renameSync(away, root);
}

/** Copies files, folders and links with owners and permissions; second names of a file stay second names. */
export function copyTree(from: string, to: string, seconds = new Map<number, string>()): void {
  const stats = fs.lstatSync(from);
  if (stats.isSymbolicLink()) {
    fs.symlinkSync(fs.readlinkSync(from), to);
    return;
  }
  if (stats.isDirectory()) {
    fs.mkdirSync(to);
    for (const name of fs.readdirSync(from)) copyTree(join(from, name), join(to, name), seconds);
  } else {
    const first = seconds.get(stats.ino);
    if (first !== undefined) {
      fs.linkSync(first, to);
      return;
    }
    if (stats.nlink > 1) seconds.set(stats.ino, to);
    fs.copyFileSync(from, to);
  }
  fs.chownSync(to, stats.uid, stats.gid);
  fs.chmodSync(to, stats.mode & 0o7777);
}
