/** The failure of detection: something on the node that was not understood, named with file and line. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import type { Problem } from './detected.ts';

/** Where it stands. */
export interface Place {
  /** File as it lies on disk; empty when no file is to blame. */
  path: string;
  /** Counted from 1. */
  line?: number | undefined;
}

/** Something that detection refuses to guess at; reason 'invalid-request'. {@link toProblem} makes it a Problem. */
export class NotUnderstood extends AppError {
  readonly place: Place;

  constructor(message: string, place: Place, cause?: unknown) {
    super('invalid-request', message, { cause });
    this.place = place;
  }
}

/**
 * The problem that keeps the component from being planned.
 *
 * @throws the error itself when it is anything but a {@link NotUnderstood}: then it is a bug or the environment
 */
export function toProblem(component: Component, error: unknown): Problem {
  if (!(error instanceof NotUnderstood)) throw error;
  const { path, line } = error.place;
  return {
    component,
    message: error.message,
    ...(path === '' ? {} : { path }),
    ...(line === undefined ? {} : { line }),
  };
}
