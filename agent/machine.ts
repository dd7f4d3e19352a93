/** What an agent meets outside its own files: time, programs, and the network to components. Tests give it a machine in memory. */
import { type RunCommand, runCommand } from '../common/run/command.ts';
import { type Clock, systemClock } from '../common/time/clock.ts';
import { type SpawnProgram, spawnProgram } from './journal/spawn-program.ts';
import { type Probe, probe } from './verify/probe.ts';

/** The machine that an agent runs on. */
export interface Machine {
  clock: Clock;
  /** Runs systemctl, journalctl and the like to their ends. */
  run: RunCommand;
  /** Starts journalctl, which is read while it runs. */
  spawn: SpawnProgram;
  /** Calls components of this node and of others. */
  probe: Probe;
}

/** The machine that this process runs on. */
export const realMachine: Machine = { clock: systemClock, run: runCommand, spawn: spawnProgram, probe };
