/**
 * Lines that a stranger writes into a component's log. A server built with Go before 1.24.8 or 1.25.2 prints the protocols that a caller
 * offers as they are, line breaks among them (CVE-2025-58189): whoever reaches its port can make up what it says next, klog's header
 * included. One write of the server holds all of it, so that its lines come at one moment.
 */
import type { JournalEntry } from './journal-entry.ts';

const REFUSAL = /\btls: client requested unsupported application protocols \(/;
/**
 * For how long after such a refusal nothing is believed. journald and container runtimes note when they read a line. Those of one write,
 * at most the 64 KiB of a TLS extension, took journald 12 to 21 ms (systemd 252, six busy loops on two cores).
 */
const DOUBT_MS = 250;

/**
 * Tells of the entries of one log, or of the journal of several units, in their order, which may be a stranger's. Whoever calls all the
 * time makes a component's log say nothing at all: its handshakes tell then.
 */
export function strangersLines(): (entry: JournalEntry) => boolean {
  const refusedMs = new Map<string, number>();
  return ({ unit, realtimeMs, message, fromSystemd }) => {
    if (fromSystemd) return false;
    const sinceMs = realtimeMs - (refusedMs.get(unit) ?? Number.NEGATIVE_INFINITY);
    if (REFUSAL.test(message)) refusedMs.set(unit, realtimeMs);
    return sinceMs >= 0 && sinceMs <= DOUBT_MS;
  };
}
