/** Programs of this machine that run in a host's network until they are stopped, and then print a report as JSON. */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Host } from './host.ts';

/** A program that runs; it ends too when this process does, since its input ends then. */
export class Beside<Report> {
  readonly #child: ChildProcess;
  readonly #output: Promise<string>;

  private constructor(child: ChildProcess, output: Promise<string>) {
    this.#child = child;
    this.#output = output;
  }

  /** Starts a program of this folder, "probe-clients.ts", in the network of a host. */
  static start<Report>(host: Host, program: string, words: readonly string[]): Beside<Report> {
    const child = host.spawnBeside([process.execPath, join(import.meta.dirname, program), ...words]);
    if (child.stdout === null) throw new Error(`${program} has no output`);
    return new Beside<Report>(child, text(child.stdout));
  }

  /** Ends it, and returns what it reports. */
  async stop(): Promise<Report> {
    this.#child.stdin?.end();
    const printed = await this.#output;
    if (printed === '') throw new Error(`${this.#child.spawnargs.join(' ')} ended without a report`);
    return JSON.parse(printed) as Report; // our own program printed it
  }
}
