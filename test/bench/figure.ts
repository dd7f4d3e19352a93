/** What a bench hands back: figures, each beside what it is compared with, and what to know when reading them. */

/** One figure. It is never judged: whoever reads it does. */
export interface Figure {
  what: string;
  /** With its unit. */
  ours: string;
  /** The peer or the limit, with its figure in the same unit. */
  against: string;
  /** Ours divided by the other. */
  ratio: number;
  /** Which way is good. */
  better: 'more' | 'less';
}

/** What came out. */
export interface BenchResult {
  figures: Figure[];
  /** What was done and what was not, one sentence each. */
  notes: string[];
}

/** A bench. */
export interface Bench {
  /** As on the command line. */
  name: string;
  /** One line for --help. */
  about: string;
  /** Debian packages that it needs. */
  packages: readonly string[];
  /** Measures; ends with an AbortError when the signal fires, leaving nothing behind. */
  run(say: (text: string) => void, signal: AbortSignal): Promise<BenchResult>;
}

/** The middle one of a list that is not empty. */
export function median(values: readonly number[]): number {
  const middle = [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  if (middle === undefined) throw new TypeError('nothing was measured');
  return middle;
}

/** Three significant digits without an exponent: "0.0123", "4.56", "1,230". */
export function digits(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}
