/** Edits of files that may be refused: the refusal becomes a problem of the component, with file and line. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import type { Problem, SourceFile } from '../detect/detected.ts';
import { NotUnderstood, toProblem } from '../detect/not-understood.ts';
import { type WishedFile, wishEdit } from './wish.ts';

/** What an edit made, and why it could not be made. */
export interface Edited<T> {
  made: T;
  problems: Problem[];
}

/** Makes an edit; `otherwise` stands for what it would have made. No plan fails for one file, whatever is wrong with it. */
export function attempt<T>(component: Component, path: string, otherwise: T, edit: () => T): Edited<T> {
  try {
    return { made: edit(), problems: [] };
  } catch (error) {
    return { made: otherwise, problems: [problemOf(component, path, error)] };
  }
}

/** Each file with another text, or a problem instead. */
export function editFiles(
  component: Component,
  files: readonly SourceFile[],
  edit: (text: string) => string,
): Edited<WishedFile[]> {
  const edited = files.map((file) =>
    attempt<WishedFile[]>(component, file.path, [], () => [wishEdit(file, edit(file.text))]),
  );
  return { made: edited.flatMap(({ made }) => made), problems: edited.flatMap(({ problems }) => problems) };
}

function problemOf(component: Component, path: string, error: unknown): Problem {
  if (error instanceof NotUnderstood) return { path, ...toProblem(component, error) };
  const { message } = AppError.from(error);
  const line = /^line (\d+): (.*)$/s.exec(message);
  if (line === null) return { component, path, message };
  return { component, path, line: Number(line[1]), message: line[2] ?? message };
}
